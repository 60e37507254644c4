"""Planning maintenance: the form says what will be seen, what else its companies have, who is told, and makes one."""

from datetime import date
from typing import Any

from sqlalchemy import func, select

from portal import clock
from portal.accounts.rules import Role
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions.requests import add_freeze
from portal.incidents.models import Maintenance, MaintenanceComponent, MaintenanceSeries
from portal.incidents.rules import Audience, MaintenanceState, Severity, Visibility
from portal.incidents.rules.maintenance import Notice, WorkImpact, state_of
from portal.notifications.models import Broadcast
from portal.services.rules import ServiceStatus, Wanted
from tests.admin.maintenances.conftest import (
    HOUR,
    LIST,
    fields,
    hidden,
    last,
    one,
    planned,
    post,
    report,
    soup,
    updates,
    wall,
)
from tests.admin.services.conftest import state
from tests.conftest import Cast, SignIn, counted_queries
from tests.incidents.conftest import World

NEW = f"{LIST}/new"


def filled(client: Any, world: World, **changes: Any) -> dict[str, Any]:
    starts_at = clock.utcnow() + 72 * HOUR
    return (
        fields(client, NEW, "plan-form")
        | {
            "title": "Core switch",
            "body": "We replace the **core switch**.",
            "components": [str(world.trunk.id)],
            "impact": "outage",
            "zone": "Europe/London",
            "starts_at": wall(starts_at),
            "ends_at": wall(starts_at + 3 * HOUR),
        }
        | changes
    )


def test_the_form_opens_ready_for_the_next_night(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    form = fields(client, f"{NEW}?component={world.trunk.id}&title=Switch", "plan-form")
    assert form["title"] == "Switch"
    assert form["components"] == [str(world.trunk.id)]
    assert form["starts_at"].endswith("T02:00")
    assert form["ends_at"].endswith("T04:00")
    assert (form["repeat"], form["starts_itself"], form["ends_itself"], form["notify"]) == ("once", "y", "y", "y")
    assert form["reminders"] == ["1440", "60"]
    page = soup(client.get(NEW))
    assert "Everyone." in one(page, "#preview").get_text()


def test_it_is_planned_once_however_often_it_is_sent(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    form = filled(client, world)
    before = db.session.scalar(select(func.count()).select_from(Broadcast)) or 0
    for _ in range(2):
        answer = post(client, NEW, form)
        assert answer.status_code == 303
    made = last()
    assert answer.headers["Location"].endswith(f"{LIST}/{made.id}")
    assert db.session.scalar(select(func.count()).select_from(Maintenance)) == 1
    assert (made.title, made.zone, made.impact) == ("Core switch", "Europe/London", WorkImpact.OUTAGE)
    assert (made.ends_at - made.starts_at, made.reminders, made.notify) == (3 * HOUR, [1440, 60], True)
    assert made.created_by_id == made.owner_id == cast.ada.id
    named = db.session.scalars(select(MaintenanceComponent.component_id)).all()
    assert named == [world.trunk.id]
    assert [update.kind for update in updates(made.id)] == [Notice.ANNOUNCED]
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == before + 1
    page = client.get(f"{LIST}/{made.id}").get_data(as_text=True)
    assert "<strong>core switch</strong>" in page


def test_what_is_typed_stays_when_it_is_refused(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    form = filled(client, world)
    for wrong, sentence in (
        ({"title": ""}, "Give it a title."),
        ({"body": ""}, "Say what customers should know."),
        ({"starts_at": ""}, "Say when the work starts."),
        ({"ends_at": form["starts_at"]}, "The end has to be after the start."),
        ({"zone": "Mars/Olympus"}, "Choose a time zone from the list."),
        ({"starts_at": "2027-03-28T01:30", "ends_at": "2027-03-28T05:00"}, "go forward"),
        ({"components": ["999999"]}, "no longer exists"),
        ({"repeat": "weekly", "days": []}, "Choose at least one day"),
        ({"repeat": "monthly-date", "date": "40"}, "from 1 to 31"),
        ({"repeat": "daily", "ending": "count", "count": "0"}, "Say how many times"),
        ({"repeat": "daily", "step": "99"}, "Every 1 to 52."),
    ):
        answer = post(client, NEW, form | wrong)
        assert answer.status_code == 422, wrong
        page = soup(answer)
        assert sentence in page.get_text(), wrong
        kept = page.find("textarea", {"name": "body"})
        assert kept is not None
        assert kept.text.strip() == (form | wrong)["body"]
    assert db.session.scalar(select(func.count()).select_from(Maintenance)) == 0


def test_the_preview_says_whom_it_reaches_and_when_they_hear(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    form = filled(client, world, audience="affected")
    with counted_queries() as queries:
        seen = soup(post(client, f"{LIST}/preview", form))
    assert len(queries) <= 50
    text = " ".join(seen.get_text().split())
    assert "Planned work on your Hosted telephony" in text
    assert "It concerns 1 company, through Hosted telephony." in text
    assert "2 people are mailed." in text
    assert "Nobody else sees it." in text
    assert "Nothing else is planned for them at that time." in text
    assert "It lasts 3 h" in text
    assert text.count("Reminded") == 1
    assert "Announce and notify 2 people" in text
    private = soup(post(client, f"{LIST}/preview", form | {"visibility": "private"})).get_text()
    assert "Plan for staff only" in private
    silent = soup(post(client, f"{LIST}/preview", {key: form[key] for key in form if key != "notify"})).get_text()
    assert "Announce without mail" in silent
    everyone = soup(post(client, f"{LIST}/preview", form | {"audience": "everyone"})).get_text()
    assert "Announce and notify 3 people" in everyone
    assert db.session.scalar(select(func.count()).select_from(Maintenance)) == 0


def test_what_else_its_companies_have_is_named_by_company(world: World, cast: Cast, sign_in: SignIn) -> None:
    now = clock.utcnow().replace(second=0, microsecond=0)
    other = planned("Exchange upgrade", [world.exchange.id], 73 * HOUR)
    add_freeze(
        cast.a.id,
        now + 70 * HOUR,
        now + 100 * HOUR,
        "Year-end closing",
        zone="Europe/London",
        by=SYSTEM,
        author_id=None,
        now=now,
        idempotency_key="1",
    )
    wanted = Wanted(ServiceStatus.SCHEDULED, "Line.", now + 73 * HOUR, now + 74 * HOUR, "Europe/London", notify=False)
    state([world.holding_a.id], wanted, now)
    report("Calls drop", {world.trunk.id: Severity.MAJOR_OUTAGE})
    db.session.commit()
    client = sign_in(cast.ada)
    text = " ".join(soup(post(client, f"{LIST}/preview", filled(client, world))).get_text().split())
    assert "1 company has something else at that time, 1 has asked for no work" in text
    assert "Asks for no work: Year-end closing" in text
    assert "Other maintenance: Exchange upgrade" in text
    assert "Scheduled service: Hosted telephony" in text
    assert "Calls drop" not in text
    soon = filled(client, world, starts_at=wall(now + HOUR), ends_at=wall(now + 2 * HOUR))
    assert "Open incident: Calls drop" in soup(post(client, f"{LIST}/preview", soon)).get_text()
    elsewhere = filled(client, world, components=[str(world.fibre.id)])
    assert "Nothing else is planned" in soup(post(client, f"{LIST}/preview", elsewhere)).get_text()
    # It does not clash with itself.
    page = soup(client.get(f"{LIST}/{other.id}?do=move"))
    form = fields(client, f"{LIST}/{other.id}?do=move", "step-form") | {"ends_at": wall(other.ends_at + HOUR)}
    moved = soup(post(client, f"{LIST}/{other.id}/preview?do=move", form)).get_text()
    assert page.find(id="step-form")
    assert "Year-end closing" in moved
    assert "Other maintenance" not in moved


def test_the_list_by_where_it_stands(world: World, cast: Cast, sign_in: SignIn) -> None:
    ahead = planned("Switch", [world.trunk.id])
    begun = planned("Cable", [world.fibre.id], -HOUR, 3 * HOUR)
    over = planned("Disk", [], -5 * HOUR, HOUR)
    client = sign_in(cast.olaf)
    for show, work in (("ahead", ahead), ("under-way", begun), ("past", over)):
        page = soup(client.get(f"{LIST}?show={show}"))
        links = [each["href"] for each in page.select(".window-lines a.line-title")]
        assert links == [f"{LIST}/{work.id}"], show
    assert [each.get_text() for each in page.select(".tabs .count")] == ["1", "1", "0", "0"]
    for narrowed, found in (("q=switch", 1), ("q=nothing", 0), (f"component={world.trunk.id}", 1), ("component=x", 1)):
        page = soup(client.get(f"{LIST}?{narrowed}"))
        assert len(page.select(".window-lines > li")) == found, narrowed
    assert "No maintenance like that" in client.get(f"{LIST}?q=nothing").get_data(as_text=True)
    for state_, found in (("completed", 1), ("cancelled", 0)):
        page = soup(client.get(f"{LIST}?show=past&state={state_}"))
        assert len(page.select(".window-lines > li")) == found
    assert client.get(f"{LIST}?show=x").status_code == 404
    assert client.get(f"{LIST}?page=2").status_code == 404
    assert client.get(f"{LIST}/99999").status_code == 404
    assert "Plan maintenance" not in page.get_text()
    with counted_queries() as few:
        client.get(LIST)
    for number in range(3):
        planned(f"More {number}", [world.trunk.id, world.spare.id], 80 * HOUR)
    with counted_queries() as many:
        client.get(LIST)
    assert len(many) == len(few)


def test_only_who_publishes_plans(world: World, cast: Cast, sign_in: SignIn) -> None:
    work = planned("Switch", [world.trunk.id])
    client = sign_in(cast.olaf)
    assert cast.olaf.role is Role.OFFICE
    assert client.get(NEW).status_code == 403
    assert client.get(f"{LIST}/{work.id}/edit").status_code == 403
    assert soup(client.get(f"{LIST}/{work.id}")).find(id="step-form") is None
    assert sign_in(cast.alice).get(LIST).status_code == 404


def test_what_is_over_already_is_written_down_without_mail(world: World, cast: Cast, sign_in: SignIn) -> None:
    client, now = sign_in(cast.ada), clock.utcnow()
    form = filled(client, world, starts_at=wall(now - 30 * HOUR), ends_at=wall(now - 28 * HOUR))
    seen = soup(post(client, f"{LIST}/preview", form)).get_text()
    assert "it is written down as done, and mails nobody" in seen
    before = db.session.scalar(select(func.count()).select_from(Broadcast))
    assert post(client, NEW, form).status_code == 303
    made = last()
    assert made.is_backfill
    assert state_of(made, now) is MaintenanceState.COMPLETED
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == before


def test_it_is_edited_and_a_conflict_shows_both(world: World, cast: Cast, sign_in: SignIn) -> None:
    work = planned("Switch", [world.trunk.id], audience=Audience.AFFECTED)
    path = f"{LIST}/{work.id}/edit"
    client = sign_in(cast.ada)
    stale = fields(client, path, "plan-form")
    form = stale | {"title": "New switch", "body": "Another text.", "components": [str(world.fibre.id)]}
    seen = soup(post(client, f"{path}/preview", form)).get_text()
    assert "New switch" in seen
    assert "Internet access" in seen
    assert post(client, path, form).status_code == 303
    changed = last()
    assert (changed.title, changed.audience, changed.visibility) == ("New switch", Audience.AFFECTED, Visibility.PUBLIC)
    assert [update.body for update in updates(work.id)] == ["Another text."]
    conflict = post(client, path, stale | {"title": "Mine"})
    assert conflict.status_code == 409
    page = soup(conflict)
    assert "New switch" in one(page, ".form-errors").get_text()
    assert one(page, "input[name=title]")["value"] == "Mine"
    again = hidden(page, "plan-form")
    assert post(client, path, stale | again | {"title": "Mine"}).status_code == 303
    assert last().title == "Mine"


def test_work_that_repeats(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    form = filled(client, world, repeat="weekly", step="2", days=["TU", "TH"], ending="count", count="6")
    seen = soup(post(client, f"{LIST}/preview", form))
    assert "Every 2 weeks on Tuesday and Thursday, 6 times." in seen.get_text()
    dates = [each.get_text() for each in seen.select(".next-dates li")]
    assert len(dates) == 5
    assert one(seen, ".seen-when").get_text() == dates[0]
    wrong = soup(post(client, f"{LIST}/preview", form | {"days": []})).get_text()
    assert "Choose at least one day of the week." in wrong
    for _ in range(2):
        answer = post(client, NEW, form)
    made = db.session.scalars(select(MaintenanceSeries)).one()
    assert answer.headers["Location"].endswith(f"{LIST}/series/{made.id}")
    assert made.rule == "FREQ=WEEKLY;INTERVAL=2;COUNT=6;BYDAY=TU,TH"
    page = soup(client.get(f"{LIST}/series/{made.id}"))
    assert "Every 2 weeks on Tuesday and Thursday, 6 times" in page.get_text()
    ahead = db.session.scalars(select(Maintenance).where(Maintenance.series_id == made.id)).all()
    assert len(page.select("#series .window-lines > li")) == len(ahead) > 1
    assert "Repeats" in soup(client.get(LIST)).get_text()
    assert f"/series/{made.id}" in client.get(f"{LIST}/{ahead[0].id}").get_data(as_text=True)

    path = f"{LIST}/series/{made.id}/edit"
    stale = fields(client, path, "plan-form")
    assert (stale["repeat"], stale["step"], stale["days"], stale["count"]) == ("weekly", "2", ["TU", "TH"], "6")
    changed = stale | {"title": "Weekly restart", "repeat": "daily", "step": "7"}
    assert "Every 7 days, 6 times" in soup(post(client, f"{path}/preview", changed)).get_text()
    assert post(client, path, changed).status_code == 303
    db.session.refresh(made)
    assert (made.title, made.rule) == ("Weekly restart", "FREQ=DAILY;INTERVAL=7;COUNT=6")
    assert post(client, path, stale).status_code == 409

    stop = fields(client, f"{LIST}/series/{made.id}", "stop-form")
    assert post(client, f"{LIST}/series/{made.id}/stop", stop | {"version": "1"}).status_code == 409
    assert post(client, f"{LIST}/series/{made.id}/stop", stop | {"body": "No more."}).status_code == 303
    page = soup(client.get(f"{LIST}/series/{made.id}"))
    assert page.find(id="stop-form") is None
    assert "Nothing is ahead" in page.get_text()
    assert client.get(f"{LIST}/series/99").status_code == 404


def test_a_window_that_comes_twice_is_asked_for(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    year = clock.utcnow().year + 1
    day = next(day for day in range(25, 32) if date(year, 10, day).weekday() == 6)
    form = filled(client, world, starts_at=f"{year}-10-{day}T01:30", ends_at=f"{year}-10-{day}T05:00", repeat="once")
    answer = post(client, NEW, form)
    assert answer.status_code == 422
    assert soup(answer).find("input", {"name": "starts_reading"})
    assert post(client, NEW, form | {"starts_reading": "second"}).status_code == 303
    assert f"{last().starts_at:%H:%M}" == "01:30"
