"""Drafts: they wait, are published once, by hand or by the clock, and exist for nobody else meanwhile."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import func, select

from portal import create_app, events
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.database import read_only
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.clockwork import due, is_anything_due
from portal.incidents.actions.drafts import discard_draft, edit_draft, publish_draft, publish_due, save_draft
from portal.incidents.models import Incident, IncidentDraft, IncidentUpdate
from portal.incidents.queries.drafts import drafts_page, due_drafts, first_drafts
from portal.incidents.queries.wordings import wordings_of
from portal.incidents.rules import Audience, Severity, State, Visibility
from portal.incidents.rules.drafts import DraftContent, Origin
from portal.incidents.rules.wordings import Wording
from portal.notifications.models import Broadcast, Delivery
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World

HOUR = timedelta(hours=1)


def content(world: World, **changes: Any) -> DraftContent:
    given: dict[str, Any] = {
        "title": "Calls drop",
        "body": "We look into it.",
        "severities": {world.trunk.id: Severity.PARTIAL_RTH},
    }
    return DraftContent(**(given | changes))


def saved(world: World, key: str = "one", **changes: Any) -> IncidentDraft:
    told = {name: changes.pop(name) for name in list(changes) if name in DraftContent.__dataclass_fields__}
    given: dict[str, Any] = {"by": SYSTEM, "author_id": None, "now": NOW, "idempotency_key": key}
    return save_draft(content(world, **told), **(given | changes))


def published(draft: IncidentDraft, **changes: Any) -> Incident:
    return publish_draft(draft, **({"by": SYSTEM, "author_id": None, "now": NOW} | changes))


def count(row: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(row)) or 0


def test_content_comes_back_as_it_was_kept(world: World, cast: Cast) -> None:
    whole = DraftContent(
        "Title",
        "{{place}}",
        State.WATCHING,
        {world.trunk.id: Severity.MAJOR_OUTAGE},
        Audience.AFFECTED,
        Visibility.PRIVATE,
        notify=False,
        mail_affected_only=True,
        next_update=None,
        started_at=NOW,
        wordings=(Wording("Own", company_id=cast.a.id), Wording("Theirs", domain_id=1)),
        values={"place": "Leeds"},
    )
    assert DraftContent.from_json(whole.to_json()) == whole
    assert DraftContent.from_json(DraftContent().to_json()) == DraftContent()
    nothing_named = DraftContent(severities={})
    assert DraftContent.from_json(nothing_named.to_json()).severities == {}


def test_a_draft_tells_nobody_and_counts_nowhere(world: World) -> None:
    draft = saved(world)
    assert saved(world).id == draft.id
    assert (count(Incident), count(IncidentUpdate), count(Broadcast)) == (0, 0, 0)
    assert [each.id for each in first_drafts(5)[0]] == [draft.id]


def test_it_is_published_once(world: World, cast: Cast) -> None:
    draft = saved(
        world,
        body="Trouble at {{place}}.",
        values={"place": "Leeds"},
        wordings=(Wording("Your circuit at {{place}}.", company_id=cast.a.id),),
        author_id=cast.ada.id,
    )
    incident = published(draft, version=1)
    assert published(draft).id == incident.id
    assert (incident.title, incident.started_at, incident.impact) == ("Calls drop", NOW, "major")
    update = db.session.scalars(select(IncidentUpdate)).one()
    assert update.body == "Trouble at Leeds."
    assert wordings_of([update.id])[update.id] == [Wording("Your circuit at Leeds.", company_id=cast.a.id)]
    assert (count(Incident), count(Broadcast), count(Delivery)) == (1, 1, 3)
    assert (draft.incident_id, draft.published_at, draft.is_open) == (incident.id, NOW, False)
    with pytest.raises(RuleViolation, match="published"):
        discard_draft(draft, by=SYSTEM, now=NOW)


def test_a_discarded_one_stays_so(world: World) -> None:
    draft = saved(world)
    discard_draft(draft, version=1, by=SYSTEM, now=NOW)
    discard_draft(draft, by=SYSTEM, now=NOW)
    with pytest.raises(RuleViolation, match="discarded"):
        published(draft)
    with pytest.raises(RuleViolation, match="discarded"):
        edit_draft(draft, content(world), version=draft.version, by=SYSTEM, author_id=None, now=NOW)
    assert first_drafts(5) == ([], 0)


def test_an_older_version_overwrites_nothing(world: World) -> None:
    draft = saved(world)
    edit_draft(draft, content(world, title="Two"), version=1, by=SYSTEM, author_id=None, now=NOW)
    for act in (
        lambda: edit_draft(draft, content(world), version=1, by=SYSTEM, author_id=None, now=NOW),
        lambda: published(draft, version=1),
        lambda: discard_draft(draft, version=1, by=SYSTEM, now=NOW),
    ):
        with pytest.raises(StaleEdit):
            act()
    assert (draft.title, draft.version) == ("Two", 2)


def test_what_is_unfinished_is_kept_but_not_published(world: World) -> None:
    for key, changes, field in (
        ("a", {"title": ""}, "title"),
        ("b", {"body": ""}, "body"),
        ("c", {"severities": None}, "components"),
        ("d", {"body": "Back by [time]"}, "body"),
        ("e", {"title": "{{place}}"}, "title"),
    ):
        draft = saved(world, key, **changes)
        with pytest.raises(RuleViolation) as refused:
            published(draft)
        assert refused.value.field == field
        assert draft.is_open
    assert count(Incident) == 0


def test_what_could_not_be_stored_is_refused(world: World) -> None:
    for changes, field in (
        ({"title": "t" * 201}, "title"),
        ({"body": "b" * 20_001}, "body"),
        ({"wordings": (Wording("x", company_id=999_999),)}, "wordings"),
        ({"publish_at": NOW}, "publish_at"),
        ({"zone": "Mars/Olympus"}, "zone"),
    ):
        with pytest.raises(RuleViolation) as refused:
            saved(world, str(changes), **changes)
        assert refused.value.field == field


def test_repeats_of_one_cause_fold_into_one(world: World) -> None:
    monitor: dict[str, Any] = {"origin": Origin.MONITOR, "origin_name": "Alertmanager", "fold_key": "trunk-down"}
    first = saved(world, "1", signal="first", **monitor)
    version = first.version
    again = saved(world, "2", title="Other", signal="second", now=NOW + HOUR, **monitor)
    assert again.id == first.id
    assert (again.signals, again.title, again.signalled_at) == (2, "Calls drop", NOW + HOUR)
    assert (again.first_signal, again.last_signal, again.version) == ("first", "second", version)
    discard_draft(first, by=SYSTEM, now=NOW)
    assert saved(world, "3", **monitor).id != first.id
    assert saved(world, "4", **(monitor | {"fold_key": "other"})).signals == 1


def test_the_clock_publishes_at_its_time(world: World, cast: Cast) -> None:
    draft = saved(world, publish_at=NOW + HOUR, zone="Europe/Berlin", author_id=cast.ada.id)
    assert not is_anything_due(NOW)
    assert not publish_due(draft.id, NOW + timedelta(minutes=59))
    late = NOW + 5 * HOUR
    assert is_anything_due(late)
    assert [row_id for act, row_id in due(late) if act is publish_due] == [draft.id]
    assert publish_due(draft.id, late)
    assert not publish_due(draft.id, late)
    incident = db.session.scalars(select(Incident)).one()
    assert (incident.started_at, incident.created_by_id, draft.incident_id) == (late, cast.ada.id, incident.id)
    assert not is_anything_due(late)


def test_what_can_no_longer_be_published_stays_and_its_owner_is_asked(world: World, cast: Cast) -> None:
    draft = saved(world, publish_at=NOW + HOUR, author_id=cast.ada.id)
    world.trunk.archived_at = NOW
    db.session.flush()
    assert publish_due(draft.id, NOW + HOUR)
    assert not publish_due(draft.id, NOW + 2 * HOUR)
    assert draft.is_open
    assert draft.publish_at is None
    assert "no longer exists" in draft.trouble
    assert count(Incident) == 0
    asked = db.session.scalars(select(Broadcast)).one()
    assert asked.title == "A report was not published: Calls drop"
    assert db.session.scalars(select(Delivery.address)).all() == [cast.ada.email]
    edit_draft(
        draft, content(world, severities={}), version=draft.version, by=SYSTEM, author_id=cast.ada.id, now=NOW + HOUR
    )
    assert draft.trouble == ""


@pytest.fixture
def own_app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    """An app whose sessions really commit, on a database that is thrown away."""
    environment = {
        "PORTAL_INSTANCE": str(tmp_path),
        "PORTAL_SECRET_KEY": "a key that protects nothing but this test",
        "PORTAL_BASE_URL": "http://admin.portal.test",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
    }
    app = create_app(Settings.from_environment(environment))
    with app.app_context():
        read_only.set(False)
        upgrade()
    yield app
    with app.app_context():
        db.engine.dispose()


def test_two_schedulers_publish_each_once(own_app: Flask) -> None:
    whole = DraftContent("Calls drop", "We look into it.", severities={})
    at = NOW + HOUR
    with own_app.app_context():
        read_only.set(False)
        for number in range(5):
            given: dict[str, Any] = {"publish_at": at, "by": SYSTEM, "author_id": None, "now": NOW}
            save_draft(whole, idempotency_key=str(number), **given)
        events.commit()
    start = threading.Barrier(3)

    def scheduler() -> int:
        done = 0
        with own_app.app_context():
            read_only.set(False)
            ids = due_drafts(at, 9)
            events.rollback()
            start.wait()
            for draft_id in ids:
                done += publish_due(draft_id, at)
                events.commit()
            # One that found every row held looks again a moment later.
            for draft_id in due_drafts(at, 9):
                done += publish_due(draft_id, at)
                events.commit()
        return done

    with ThreadPoolExecutor(3) as pool:
        done = [each.result() for each in [pool.submit(scheduler) for _each in range(3)]]
    with own_app.app_context():
        assert (sum(done), count(Incident), count(Broadcast), due_drafts(at, 9)) == (5, 5, 5, [])


def test_the_list_is_read_a_page_at_a_time(world: World) -> None:
    for number in range(23):
        saved(world, str(number), title=f"Draft {number}", now=NOW + timedelta(minutes=number))
    events.commit()
    with counted_queries() as queries:
        page = drafts_page(2)
    assert page is not None
    assert [each.title for each in page.items] == ["Draft 2", "Draft 1", "Draft 0"]
    assert (page.pages, page.total, len(queries)) == (2, 23, 2)
    assert drafts_page(3) is None
    found, total = first_drafts(5)
    assert (len(found), total) == (5, 23)
