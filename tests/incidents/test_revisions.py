"""What a report said before it was changed: kept with when customers read it, and told word by word."""

from datetime import datetime, timedelta

from sqlalchemy import select

from portal.audit.rules import SYSTEM, Actor
from portal.extensions import db
from portal.incidents import actions
from portal.incidents.models import Incident, IncidentUpdate
from portal.incidents.queries.revisions import Version, count_revisions, revisions_of
from portal.incidents.rules import Audience, Severity, Visibility
from portal.incidents.rules.revisions import WORDS_COMPARED, Change, Revised, difference
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World
from tests.incidents.test_actions import publish, update

LATER, LATEST = NOW + timedelta(minutes=10), NOW + timedelta(minutes=20)


def versions(incident: Incident) -> list[Version]:
    page = revisions_of(incident.id, 1)
    assert page is not None
    return list(page.items)


def correct(incident: Incident, body: str, now: datetime, by: Actor = SYSTEM) -> None:
    last = select(IncidentUpdate).where(IncidentUpdate.incident_id == incident.id).order_by(IncidentUpdate.id.desc())
    row = db.session.scalars(last).first()
    assert row is not None
    actions.edit_update(row, incident, body, version=incident.version, by=by, now=now)
    db.session.flush()


def edit(incident: Incident, now: datetime, **changes: object) -> None:
    wanted: dict[str, object] = {
        "title": incident.title,
        "visibility": incident.visibility,
        "audience": incident.audience,
    } | changes
    actions.edit(incident, version=incident.version, by=SYSTEM, now=now, **wanted)  # type: ignore[arg-type]


def spoken(before: str, after: str) -> str:
    marks = {Change.SAME: "{}", Change.GONE: "-[{}]", Change.NEW: "+[{}]"}
    return "".join(marks[each.change].format(each.text) for each in difference(before, after))


def test_a_difference_is_told_word_by_word() -> None:
    assert spoken("Calls drop at times.", "Calls drop for some.") == "Calls drop -[at times.]+[for some.]"
    assert spoken("", "New") == "+[New]"
    assert spoken("Gone", "") == "-[Gone]"
    assert spoken("As is", "As is") == "As is"
    assert spoken("", "") == ""
    assert spoken("  one", "  two") == "  -[one]+[two]"


def test_of_very_long_texts_the_whole_counts_as_changed() -> None:
    long = "word " * WORDS_COMPARED
    assert [each.change for each in difference(long, long + "more")] == [Change.GONE, Change.NEW]
    assert [each.change for each in difference(long, long)] == [Change.SAME]


def test_both_sides_can_be_read_back_from_a_difference() -> None:
    old, new = "a b  c\n\nd e", "a x  c\nd\ne f"
    found = difference(old, new)
    assert "".join(each.text for each in found if each.change is not Change.NEW) == old
    assert "".join(each.text for each in found if each.change is not Change.GONE) == new


def test_each_change_says_from_when_to_when_customers_read_the_old(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE})
    by = Actor(cast.ada.email, cast.ada.id)
    correct(incident, "Calls do not arrive.", LATER, by)
    correct(incident, "Calls to mobiles do not arrive.", LATEST)
    second, first = versions(incident)
    assert (first.revision.before, first.revision.after) == ("We are looking into it.", "Calls do not arrive.")
    assert (first.revision.seen_from, first.revision.changed_at) == (NOW, LATER)
    assert first.revision.by is not None
    assert first.revision.by.id == cast.ada.id
    assert (second.revision.seen_from, second.revision.changed_at) == (LATER, LATEST)
    assert (second.revision.by, second.revision.by_label) == (None, "system")
    assert [each.change for each in second.stretches] == [Change.SAME, Change.NEW, Change.SAME]


def test_what_customers_never_read_says_so(world: World) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE}, visibility=Visibility.PRIVATE)
    edit(incident, LATER, title="Calls are cut off")
    assert versions(incident)[0].revision.seen_from is None
    public = publish({world.trunk.id: Severity.MAJOR_OUTAGE}, idempotency_key="other")
    update(public, None, visibility=Visibility.PRIVATE, body="The supplier is bankrupt.")
    correct(public, "The supplier is asleep.", LATEST)
    assert versions(public)[0].revision.seen_from is None


def test_what_became_public_later_was_read_from_then_on(world: World) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE}, visibility=Visibility.PRIVATE)
    edit(incident, LATER, visibility=Visibility.PUBLIC, audience=Audience.AFFECTED)
    edit(incident, LATEST, title="Calls are cut off")
    title, *others = versions(incident)
    assert (title.revision.what, title.revision.seen_from) == (Revised.TITLE, LATER)
    assert {each.revision.what for each in others} == {Revised.VISIBILITY, Revised.AUDIENCE}
    assert all(each.revision.seen_from is None and not each.is_text for each in others)


def test_the_same_again_keeps_nothing(world: World) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE})
    correct(incident, "We are looking into it.", LATER)
    edit(incident, LATER)
    assert count_revisions(incident.id) == 0
    assert revisions_of(incident.id, 2) is None


def test_a_page_of_changes_takes_two_queries_however_many_there_are(world: World) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE})
    for number in range(30):
        correct(incident, f"Version {number}", NOW + timedelta(minutes=number + 1))
    incident_id = incident.id
    db.session.commit()
    db.session.expunge_all()
    with counted_queries() as asked:
        page = revisions_of(incident_id, 2)
    assert page is not None
    assert (len(page.items), page.pages, page.total) == (5, 2, 30)
    assert len(asked) == 2
