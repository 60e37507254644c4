"""Who is answered by the server of assistants, and that everybody else is told why not."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal import events
from portal.accounts.actions.tokens import make_token, revoke_token
from portal.accounts.models import ApiToken, Company
from portal.accounts.rules.tokens import Scope
from portal.audit.models import AuditEntry, AuditTally
from portal.audit.rules import SYSTEM, Actor
from portal.extensions import db
from portal.mcp.admission import NO_COMPANY, OFF, Refused, company_of
from portal.services.actions.assistant import set_assistant
from portal.services.queries.settings import settings
from tests.conftest import NOW, Cast


@pytest.fixture
def is_on(cast: Cast) -> None:
    set_assistant(True, version=0, by=SYSTEM, now=NOW)
    events.commit()


def token_of(cast: Cast, company: Company | None, scope: Scope = Scope.READ) -> str:
    made, secret = make_token("Assistant", scope, company=company, by=Actor(cast.root.email, cast.root.id), now=NOW)
    assert made.name == "Assistant"
    events.commit()
    return secret


def refused(secret: str, address: str | None = "192.0.2.7") -> Refused:
    with pytest.raises(Refused) as refusal:
        company_of(secret, address, NOW)
    return refusal.value


def test_nobody_is_answered_while_it_is_off(cast: Cast) -> None:
    assert refused(token_of(cast, cast.a)).sentence == OFF
    assert refused("").status == 404


def test_a_company_s_token_is_answered_for_its_company_and_noted_as_used(cast: Cast, is_on: None) -> None:
    secret = token_of(cast, cast.a)
    assert company_of(secret, None, NOW) == cast.a.id
    db.session.expire_all()
    assert db.session.scalars(select(ApiToken.last_used_at)).one() == NOW
    company_of(secret, None, NOW + timedelta(seconds=30))
    assert db.session.scalars(select(ApiToken.last_used_at)).one() == NOW


def test_a_token_of_no_company_asks_for_nobody(cast: Cast, is_on: None) -> None:
    found = refused(token_of(cast, None, Scope.ADMIN))
    assert (found.status, found.sentence) == (403, NO_COMPANY)


def test_it_ends_with_the_setting_and_with_the_token(cast: Cast, is_on: None) -> None:
    secret = token_of(cast, cast.a)
    set_assistant(False, version=settings().version, by=SYSTEM, now=NOW)
    events.commit()
    assert refused(secret).status == 404
    set_assistant(True, version=settings().version, by=SYSTEM, now=NOW)
    events.commit()
    assert company_of(secret, None, NOW) == cast.a.id
    token = db.session.scalars(select(ApiToken)).one()
    revoke_token(token, by=SYSTEM, now=NOW)
    events.commit()
    assert refused(secret).status == 401


def test_who_tries_many_tokens_has_to_wait_and_none_is_written_down(cast: Cast, is_on: None) -> None:
    first = refused("sbx_wrong")
    assert first.status == 401
    assert first.headers["WWW-Authenticate"].startswith("Bearer")
    found = next(each for _ in range(200) if (each := refused("sbx_wrong")).status == 429)
    assert int(found.headers["Retry-After"]) > 0
    assert refused("sbx_wrong", "192.0.2.8").status == 401
    told = [*db.session.scalars(select(AuditEntry)), *db.session.scalars(select(AuditTally))]
    assert "sbx_wrong" not in repr([vars(each) for each in told])


def test_it_shares_the_allowance_of_the_api(cast: Cast, is_on: None) -> None:
    secret = token_of(cast, cast.a)
    for _ in range(600):
        company_of(secret, None, NOW)
    found = refused(secret)
    assert found.status == 429
    assert 0 < int(found.headers["Retry-After"]) <= 60
