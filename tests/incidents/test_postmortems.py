"""Postmortems: a draft for staff, then a step of its own with its own notice, then corrected."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.accounts.rules import SIGNED_OUT, STAFF, Viewpoint
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents import actions
from portal.incidents.models import Incident, Postmortem
from portal.incidents.queries.postmortems import postmortem_mail, postmortem_of, postmortems_of
from portal.incidents.queries.revisions import revisions_of
from portal.incidents.rules import Audience, Severity, State, Visibility
from portal.notifications.models import Broadcast
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World
from tests.incidents.test_actions import ADA, publish, update

LATER, LATEST = NOW + timedelta(days=1), NOW + timedelta(days=2)
MAJOR = Severity.MAJOR_OUTAGE


def write(incident: Incident, body: str = "A **fuse** blew.", version: int = 0) -> Postmortem:
    return actions.write_postmortem(incident, body, version=version, by=ADA, author_id=None, now=LATER)


def show(incident: Incident, written: Postmortem, *, notify: bool = True) -> None:
    actions.publish_postmortem(incident, written, notify=notify, version=written.version, by=ADA, now=LATER)


def fixed(world: World, **changes: object) -> Incident:
    incident = publish({world.trunk.id: MAJOR}, **changes)
    update(incident, State.FIXED)
    return incident


def test_a_draft_is_nobodys_but_staffs(world: World, cast: Cast) -> None:
    incident = fixed(world)
    before = incident.public_updated_at
    write(incident, "Canary")
    for viewpoint in (SIGNED_OUT, Viewpoint(company_id=cast.a.id), STAFF):
        assert postmortem_of(incident.id, viewpoint, LATER) is None
    assert (incident.public_updated_at, postmortem_mail(incident.id)) == (before, None)


def test_it_is_published_once_to_whoever_may_see_the_incident(world: World, cast: Cast) -> None:
    incident = fixed(world, audience=Audience.AFFECTED)
    written = write(incident)
    show(incident, written)
    show(incident, written)
    assert postmortem_of(incident.id, Viewpoint(company_id=cast.a.id), LATER) is written
    assert postmortem_of(incident.id, Viewpoint(company_id=cast.b.id), LATER) is None
    assert postmortem_of(incident.id, SIGNED_OUT, LATER) is None
    assert incident.public_updated_at == LATER
    told = db.session.scalars(select(Broadcast).where(Broadcast.idempotency_key.startswith("postmortem:"))).all()
    assert len(told) == 1


def test_its_mail_stands_in_the_same_conversation_in_words_of_its_own(world: World) -> None:
    incident = fixed(world)
    show(incident, write(incident))
    first = db.session.scalars(select(Broadcast).order_by(Broadcast.id)).first()
    mail = postmortem_mail(incident.id)
    assert first is not None
    assert mail is not None
    assert (mail.thread_key, mail.content["en"]["subject"]) == (first.thread_key, first.content["en"]["subject"])
    assert "What happened, and what we have learnt" in mail.content["en"]["text"]
    assert "<strong>fuse</strong>" in mail.content["en"]["html"]
    assert mail.content["de"]["text"] != mail.content["en"]["text"]
    assert mail.selector["facts"]["update"]["state"] == "postmortem"


def test_without_a_notice_nobody_is_mailed(world: World) -> None:
    incident = fixed(world)
    show(incident, write(incident), notify=False)
    assert postmortem_mail(incident.id) is None


def test_it_waits_for_the_fix_and_for_customers_to_see_the_report(world: World) -> None:
    still = publish({world.trunk.id: MAJOR})
    with pytest.raises(RuleViolation, match="not fixed"):
        show(still, write(still))
    hidden = fixed(world, visibility=Visibility.PRIVATE, idempotency_key="hidden")
    with pytest.raises(RuleViolation, match="staff only"):
        show(hidden, write(hidden))


def test_a_correction_is_kept_and_mails_nobody(world: World, cast: Cast) -> None:
    incident = fixed(world)
    written = write(incident)
    show(incident, written, notify=False)
    write(incident, "A cable broke.", written.version)
    page = revisions_of(incident.id, 1)
    assert page is not None
    (version,) = page.items
    assert (version.revision.before, version.revision.seen_from) == ("A **fuse** blew.", LATER)
    with pytest.raises(StaleEdit):
        write(incident, "Nothing happened.", 1)
    with pytest.raises(RuleViolation):
        actions.discard_postmortem(written, version=written.version, by=ADA, now=LATEST)
    assert postmortem_mail(incident.id) is None


def test_while_an_incident_is_open_again_its_postmortem_is_not_shown(world: World) -> None:
    incident = fixed(world)
    show(incident, write(incident))
    update(incident, State.INVESTIGATING, now=LATEST)
    assert postmortem_of(incident.id, STAFF, LATEST) is None


def test_those_of_many_incidents_take_one_query(world: World) -> None:
    made = [fixed(world, idempotency_key=f"k{number}") for number in range(3)]
    for each in made:
        show(each, write(each), notify=False)
    ids = [each.id for each in made]
    db.session.flush()
    with counted_queries() as asked:
        assert postmortems_of(ids, SIGNED_OUT, LATER).keys() == set(ids)
        assert postmortems_of([], SIGNED_OUT, LATER) == {}
    assert len(asked) == 1


def test_begun_twice_at_the_same_moment_the_second_is_told_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    incident = fixed(world)
    write(incident)
    # The other is not committed yet, so whoever looks finds none.
    monkeypatch.setattr("portal.incidents.actions.postmortems.postmortem_for_staff", lambda _incident_id: None)
    with pytest.raises(StaleEdit):
        write(incident, "Another text")
    assert db.session.scalars(select(Postmortem.body)).all() == ["A **fuse** blew."]
