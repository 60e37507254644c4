"""Settings → Assistant → Permissions: one switch, off until somebody turns it on."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from portal import clock, events
from portal.accounts.models import Session
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.errors import StaleEdit
from portal.extensions import db
from portal.services.actions.assistant import set_assistant
from portal.services.queries.settings import settings
from portal.services.questions.queries import is_open
from tests.conftest import NOW, Cast, SignIn, token_in

PAGE = "/admin/settings/assistant"


def test_it_is_off_until_somebody_turns_it_on(cast: Cast) -> None:
    assert not is_open()
    assert set_assistant(True, version=settings().version, by=SYSTEM, now=NOW)
    events.commit()
    assert is_open()


def test_the_same_again_changes_and_records_nothing(cast: Cast) -> None:
    assert not set_assistant(False, version=settings().version, by=SYSTEM, now=NOW)
    events.commit()
    assert db.session.scalars(select(AuditEntry).where(AuditEntry.object_kind == "assistant")).all() == []


def test_whoever_looked_at_something_older_is_refused(cast: Cast) -> None:
    set_assistant(True, version=0, by=SYSTEM, now=NOW)
    events.commit()
    with pytest.raises(StaleEdit):
        set_assistant(False, version=0, by=SYSTEM, now=NOW)


def test_an_administrator_turns_it_on_and_off_and_the_trail_says_so(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    page = client.get(PAGE).text
    assert "Service status access" in page
    assert "checked" not in page.split('name="is_open"')[1].split(">")[0]
    for is_on in (True, False):
        sent = {"csrf_token": token_in(client, PAGE), "version": str(settings().version)}
        saved = client.post(PAGE, data=sent | ({"is_open": "y"} if is_on else {}))
        assert saved.status_code == 303
        db.session.expire_all()
        assert is_open() is is_on
    told = [each.action for each in db.session.scalars(select(AuditEntry).where(AuditEntry.object_kind == "assistant"))]
    assert told == ["assistant.open", "assistant.close"]
    trail = client.get("/admin/audit").text
    assert "Root switched off answers to questions about service statuses" in trail


def test_a_stale_page_is_a_conflict(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    token = token_in(client, PAGE)
    set_assistant(True, version=0, by=SYSTEM, now=NOW)
    events.commit()
    assert client.post(PAGE, data={"csrf_token": token, "version": "0"}).status_code == 409
    assert is_open()


def test_nobody_else_may_and_a_password_is_asked_for(cast: Cast, sign_in: SignIn) -> None:
    for person in (cast.ada, cast.olaf):
        assert sign_in(person).get(PAGE).status_code == 403
    assert sign_in(cast.alice).get(PAGE).status_code == 404
    client = sign_in(cast.root)
    db.session.execute(update(Session).values(confirmed_at=clock.utcnow() - timedelta(hours=1)))
    events.commit()
    asked = client.get(PAGE)
    assert asked.status_code == 302
    assert asked.headers["Location"].startswith("/confirm")
