"""Custom wording: kept where it differs, read where it is meant for, in pages and in mails."""

from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale
from sqlalchemy import select

from portal import events
from portal.accounts import actions as accounts
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.domains import actions
from portal.domains.models import PortalDomain
from portal.domains.rules.wordings import KEYS, LENGTH
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.filters import LOOKS, WORDED_LIKE, default_words, look, worded
from portal.incidents import actions as incidents
from portal.incidents.rules import Severity, State
from portal.notifications.models import Broadcast, Delivery
from portal.services.rules import ServiceStatus
from tests.conftest import NOW, Cast

BY: dict[str, Any] = {"by": SYSTEM, "now": NOW}


def word(domain: PortalDomain, language: str = "en", **changes: Any) -> int:
    defaults = changes.pop("defaults", None) or default_words(language)
    given: dict[str, Any] = {"defaults": defaults, "version": domain.version, **BY}
    return actions.set_wordings(domain, language, changes.pop("own", {}), **given | changes)


def test_every_key_is_a_state_customers_meet(app: Flask) -> None:
    """The words that can be chosen are those of the rules, no more and no fewer."""
    values = {f"severity.{each}" for each in Severity} | {f"state.{each}" for each in State}
    assert set(KEYS) == values | {f"service.{each}" for each in ServiceStatus}
    assert set(WORDED_LIKE.values()) == {f"severity.{each}" for each in Severity}
    with app.app_context():
        assert set(KEYS) <= set(default_words("en"))


def test_only_what_differs_is_kept(cast: Cast) -> None:
    own = {
        "severity.partial_rth": "  Calls back\n to you fail ",
        "severity.none": "Operational",
        "state.fixed": "",
        "state.nonsense": "x",
    }
    assert word(cast.domain_a, own=own) == 1
    assert cast.domain_a.wordings == {"en": {"severity.partial_rth": "Calls back to you fail"}}
    assert word(cast.domain_a, "de", own={"state.fixed": "Erledigt"}) == 1
    assert word(cast.domain_a, own={}) == 0
    assert cast.domain_a.wordings == {"de": {"state.fixed": "Erledigt"}}
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "portal.wording")).all()
    assert (entries[-1].before, entries[-1].after) == (
        {"en": {"severity.partial_rth": "Calls back to you fail"}},
        {"en": {}},
    )


def test_a_bad_wording_is_refused_and_an_older_version_too(cast: Cast) -> None:
    with pytest.raises(RuleViolation) as refusal:
        word(cast.domain_a, own={"state.fixed": "x" * (LENGTH + 1)})
    assert refusal.value.field == "state.fixed"
    with pytest.raises(RuleViolation):
        word(cast.domain_a, "tlh", defaults={"state.fixed": "Fixed"})
    opened = cast.domain_a.version
    word(cast.domain_a, own={"state.fixed": "Done"})
    with pytest.raises(StaleEdit):
        word(cast.domain_a, own={"state.fixed": "Over"}, version=opened)
    assert cast.domain_a.wordings == {"en": {"state.fixed": "Done"}}


def test_a_change_rings_the_domain_and_the_same_again_does_not(cast: Cast) -> None:
    db.session.info.pop("topics", None)
    word(cast.domain_a, own={"state.fixed": "Done"})
    assert events.public_topic(cast.domain_a.id) in db.session.info.pop("topics")
    word(cast.domain_a, own={"state.fixed": "Done"})
    assert "topics" not in db.session.info


def test_a_look_speaks_the_readers_language_with_the_domains_words(session: None) -> None:
    own = {
        "en": {"severity.partial_rth": "Calls back fail", "severity.none": "Fine"},
        "de": {"state.fixed": "Erledigt"},
    }
    with worded(own):
        assert look("severity", "partial_rth").label == look("component", "partial_outage").label == "Calls back fail"
        assert look("component", "operational").label == "Fine"
        assert look("staff_severity", "partial_rth").label == "Partial RTH (return traffic handling)"
        assert look("state", "fixed").label == "Fixed"
        with force_locale("de"):
            assert look("state", "fixed").label == "Erledigt"
            assert look("severity", "partial_rth").label == LOOKS["severity"]["partial_rth"].label
        with worded({}):
            assert look("component", "operational").label == "Operational"
        assert look("component", "operational").label == "Fine"
    assert look("component", "operational").label == "Operational"


# Mails.


def publish(key: str) -> Broadcast:
    incidents.publish(
        title="Calls drop",
        state=State.INVESTIGATING,
        body="We are looking into it.",
        severities={},
        by=SYSTEM,
        author_id=None,
        now=NOW,
        idempotency_key=key,
    )
    return db.session.scalars(select(Broadcast).order_by(Broadcast.id.desc()).limit(1)).one()


def test_mails_say_what_the_home_portal_calls_a_state(cast: Cast) -> None:
    """One wording more where it differs, for those at home there, in the language it was chosen in, and so for those
    without a login.
    """
    accounts.change_profile(cast.bob, "Bob", "de", "Europe/Berlin", version=cast.bob.version, **BY)
    word(cast.domain_a, own={"state.investigating": "Being seen to"})
    word(cast.domain_b, own={"severity.major_outage": "Everything is down"})
    broadcast = publish("own-words")
    own = f"en.{cast.domain_a.id}"
    assert set(broadcast.content) == {"en", "de", own, "en-open", "de-open", f"{own}-open"}
    assert "Being seen to" in broadcast.content[own]["text"]
    assert "Being seen to" in broadcast.content[own]["html"]
    assert "Being seen to" in broadcast.content[f"{own}-open"]["text"]
    assert "Being seen to" not in broadcast.content["en"]["text"]
    assert "Being seen to" not in broadcast.content["en-open"]["text"]
    wordings = {each.address: each.wording for each in db.session.scalars(select(Delivery))}
    assert wordings == {"alice@people.test": own, "bob@people.test": "de", "charlie@people.test": "en"}


def test_without_own_words_there_is_one_wording_a_language_and_one_without_a_login(cast: Cast) -> None:
    assert set(publish("no-words").content) == {"en", "de", "en-open", "de-open"}


def test_mails_name_how_to_reach_a_human_at_the_home_portal(cast: Cast) -> None:
    cast.domain_a.support_phone, cast.domain_a.support_hours = "+44 20 7946 0000", "weekdays"
    cast.domain_a.help_url = "https://help.a.test/"
    broadcast = publish("support")
    assert all("{{support}}" in wording[part] for wording in broadcast.content.values() for part in ("text", "html"))
    said = {each.address: each.values["support"] for each in db.session.scalars(select(Delivery))}
    assert said["alice@people.test"] == "Questions? +44 20 7946 0000 (weekdays) · https://help.a.test/"
    assert said["charlie@people.test"] == ""
