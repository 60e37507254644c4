"""The screens of a notice: write, look over, try, schedule, send, and the list of what was written."""

import re
from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal import clock
from portal.accounts.models import Membership, Person
from portal.audit.rules import SYSTEM
from portal.catalogue.notices import actions
from portal.catalogue.notices.models import Notice
from portal.catalogue.notices.rules import Chosen, NoticeState
from portal.extensions import db
from portal.notifications.actions import suppress
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason
from tests.conftest import Cast, SignIn, counted_queries, token_in

NOTICES = "/admin/broadcasts/notices"
WORDS = {"en": {"subject": "New hours, {{name}}", "body": "Dear **{{name}}** of {{company}}"}}
FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def staff(sign_in: SignIn, cast: Cast) -> FlaskClient:
    return sign_in(cast.ada)


def written(chosen: Chosen | None = None, title: str = "New hours, {{name}}") -> Notice:
    words = {"en": {**WORDS["en"], "subject": title}}
    made = actions.write(words, chosen or Chosen(everyone=True), by=SYSTEM, author_id=None, now=clock.utcnow())
    db.session.commit()
    return made


def post(client: FlaskClient, path: str, **values: Any) -> Any:
    return client.post(path, data={"csrf_token": token_in(client, "/admin/"), **values})


def act(client: FlaskClient, notice: Notice, action: str, **values: Any) -> Any:
    return post(client, f"{NOTICES}/{notice.id}/{action}", **{"version": notice.version, **values})


def again(notice: Notice) -> Notice:
    db.session.expire_all()
    return db.session.get_one(Notice, notice.id)


def broadcasts() -> int:
    return db.session.scalar(select(func.count(Broadcast.id))) or 0


def text_of(page: Any) -> str:
    return " ".join(BeautifulSoup(page.get_data(as_text=True), "html.parser").get_text(" ").split())


def test_a_notice_is_written_looked_over_and_sent_once(staff: FlaskClient, cast: Cast) -> None:
    saved = post(staff, f"{NOTICES}/new", to="some", companies=[cast.a.id, cast.b.id], **WORDS["en"])
    assert saved.status_code == 303
    page = staff.get(saved.headers["Location"])
    assert "Send to 3 people at 2 companies" in text_of(page)
    assert broadcasts() == 0
    notice = db.session.scalars(select(Notice)).one()
    assert (notice.created_by_id, notice.to) == (cast.ada.id, Chosen.of(companies=[cast.a.id, cast.b.id]))
    answers = {act(staff, notice, "send").headers["Location"] for _ in range(2)}
    assert len(answers) == broadcasts() == 1
    assert set(db.session.scalars(select(Delivery.name))) == {"Alice", "Bob", "Charlie"}
    progress = staff.get(answers.pop()).get_data(as_text=True)
    assert f'href="{NOTICES}/{notice.id}"' in progress
    assert "See who has it" in text_of(staff.get(f"{NOTICES}/{notice.id}"))
    assert staff.get(f"{NOTICES}/{notice.id}/edit").headers["Location"].endswith(f"{NOTICES}/{notice.id}")


def test_what_is_refused_keeps_what_was_typed(staff: FlaskClient, cast: Cast) -> None:
    typed = {"subject": "Hello {{ config }}", "body": "Text <stays>", "subject_de": "Nur", "to": "some"}
    answer = post(staff, f"{NOTICES}/new", services="12x", **typed)
    assert answer.status_code == 422
    answer = post(staff, f"{NOTICES}/new", companies=cast.a.id, **typed)
    page = BeautifulSoup(answer.get_data(as_text=True), "html.parser")
    assert answer.status_code == 422
    assert page.select_one("#subject-error").text.startswith("There is no variable “config”")  # type: ignore[union-attr]
    assert page.select_one("[name=subject]")["value"] == typed["subject"]  # type: ignore[index]
    assert page.select_one("[name=body]").text.strip() == typed["body"]  # type: ignore[union-attr]
    assert page.select_one(f'[name=companies][value="{cast.a.id}"][checked]')
    assert db.session.scalars(select(Notice)).all() == []


def test_quick_ways_here_choose_the_first_readers(staff: FlaskClient, cast: Cast) -> None:
    page = BeautifulSoup(
        staff.get(f"{NOTICES}/new?companies={cast.a.id}&companies=x").get_data(as_text=True), "html.parser"
    )
    assert [box["value"] for box in page.select("[name=companies][checked]")] == [str(cast.a.id)]
    assert "Alder Dental" in page.text


def test_the_preview_is_read_with_a_real_readers_eyes(staff: FlaskClient, cast: Cast) -> None:
    cast.domain_b.support_email = "help@south.test"
    db.session.commit()
    values = {"to": "everyone", **WORDS["en"], "reader": "charlie@"}
    with counted_queries() as statements:
        answer = post(staff, f"{NOTICES}/preview", **values)
    told = text_of(answer)
    assert "New hours, Charlie" in told
    assert "Dear Charlie of Birch Logistics" in told
    assert "Southline sends this to charlie@people.test because Birch Logistics uses its services." in told
    assert "3 people at 2 companies" in told
    assert not [each for each in statements if each.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert "/u/…" in told  # staff are not handed the reader's own way off the list
    assert "Nobody of that name" in text_of(post(staff, f"{NOTICES}/preview", **{**values, "reader": "nobody at all"}))


def test_the_preview_says_what_is_wrong_with_the_text(staff: FlaskClient, cast: Cast) -> None:
    answer = post(staff, f"{NOTICES}/preview", to="some", subject="x", body="{{ 7*7 }}")
    assert answer.status_code == 200
    assert "There is no variable “7*7”" in text_of(answer)
    assert "49" not in text_of(answer)


def test_the_preview_counts_who_cannot_be_reached_and_why(staff: FlaskClient, cast: Cast) -> None:
    suppress(cast.alice.email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=clock.utcnow())
    cast.charlie.deactivated_at = clock.utcnow()
    db.session.commit()
    told = text_of(post(staff, f"{NOTICES}/preview", to="everyone", **WORDS["en"]))
    assert "1 person at 2 companies" in told
    assert "2 people cannot be reached by mail 1 no longer active, 1 mail bounced" in told
    assert "Alice Alder Dental, mail bounced" in told
    assert "1 company has nobody to write to Birch Logistics" in told
    assert "Dear Bob" in told  # nobody is read for who would not get it


def test_the_preview_takes_the_same_queries_for_three_and_for_two_hundred(staff: FlaskClient, cast: Cast) -> None:
    counts = []
    for number in (0, 200):
        _add_people(cast, number)
        with counted_queries() as statements:
            assert post(staff, f"{NOTICES}/preview", to="everyone", **WORDS["en"]).status_code == 200
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 45


def _add_people(cast: Cast, number: int) -> None:
    people = [
        Person(name=f"P{each}", email=f"p{each}@x.test", email_key=f"p{each}@x.test", created_at=clock.utcnow())
        for each in range(number)
    ]
    db.session.add_all(people)
    db.session.flush()
    db.session.add_all(
        Membership(person_id=each.id, company_id=cast.a.id, created_at=clock.utcnow()) for each in people
    )
    db.session.commit()


def test_companies_are_found_by_typing_without_those_chosen(staff: FlaskClient, cast: Cast) -> None:
    found = staff.get(f"{NOTICES}/companies?company_q=R&companies={cast.b.id}", headers=FRAGMENT).get_data(as_text=True)
    assert "Alder Dental" in found
    assert "Birch" not in found
    for nothing in ("", "%", "_", "zzz"):
        page = staff.get(f"{NOTICES}/companies", query_string={"company_q": nothing}, headers=FRAGMENT)
        assert "checkbox" not in page.get_data(as_text=True)


def test_two_who_edit_see_each_other(staff: FlaskClient, sign_in: SignIn, cast: Cast) -> None:
    notice = written()
    path, seen = f"{NOTICES}/{notice.id}/edit", notice.version
    assert post(sign_in(cast.root), path, version=seen, to="everyone", subject="Root's", body="x").status_code == 303
    answer = post(staff, path, version=seen, to="everyone", subject="Ada's", body="y")
    assert answer.status_code == 409
    assert "Somebody else has changed this notice" in text_of(answer)
    assert "Root's" in text_of(answer)
    page = BeautifulSoup(answer.get_data(as_text=True), "html.parser")
    assert page.select_one("[name=subject]")["value"] == "Ada's"  # type: ignore[index]
    newer = page.select_one("#notice-form [name=version]")["value"]  # type: ignore[index]
    assert post(staff, path, version=newer, to="everyone", subject="Ada's", body="y").status_code == 303
    assert again(notice).title == "Ada's"
    stale = act(staff, notice, "send", version=seen)
    assert stale.status_code == 409
    assert "look once more" in text_of(stale)
    assert broadcasts() == 0


def test_a_test_goes_to_whoever_asks(staff: FlaskClient, cast: Cast) -> None:
    notice = written()
    assert act(staff, notice, "test", to="everybody@customers.test", address="x@y.test").status_code == 303
    assert list(db.session.scalars(select(Delivery.address))) == [cast.ada.email]
    assert again(notice).state is NoticeState.DRAFT


def test_r37_r38_scheduling_names_the_zone_and_asks_what_is_unclear(staff: FlaskClient, cast: Cast) -> None:
    cast.ada.time_zone = "Europe/Berlin"
    db.session.commit()
    notice, year = written(), clock.utcnow().year + 1
    assert "Europe/Berlin" in text_of(staff.get(f"{NOTICES}/{notice.id}"))
    spring, autumn = _sundays(year)
    gone = act(staff, notice, "schedule", due=spring, due_time="02:30")
    assert gone.status_code == 422
    assert "02:30 does not exist" in text_of(gone)
    assert f'value="{spring}"' in gone.get_data(as_text=True)
    twice = act(staff, notice, "schedule", due=autumn, due_time="02:30")
    assert "The second, an hour later" in text_of(twice)
    assert act(staff, notice, "schedule", due=autumn, due_time="02:30", reading="second").status_code == 303
    scheduled = again(notice)
    assert scheduled.due_at is not None
    assert f"{scheduled.due_at:%H:%M}" == "01:30"
    page = text_of(staff.get(f"{NOTICES}/{notice.id}"))
    assert "02:30 CET" in page
    assert act(staff, scheduled, "unschedule").status_code == 303
    assert again(notice).state is NoticeState.DRAFT


def _sundays(year: int) -> tuple[str, str]:
    """When clocks change in Berlin in the next twelve months: the last Sundays of March and October."""
    now = clock.utcnow()
    found = []
    for month in (3, 10):
        day = now.replace(year=year if month < now.month or month == 3 else now.year, month=month, day=31)
        day -= timedelta(days=(day.weekday() + 1) % 7)
        if day <= now + timedelta(minutes=5):
            day = now.replace(year=year, month=month, day=31)
            day -= timedelta(days=(day.weekday() + 1) % 7)
        found.append(day.date().isoformat())
    return found[0], found[1]


@pytest.mark.parametrize(
    ("due", "due_time", "sentence"),
    [("", "09:00", "Choose a day."), ("2026-13-40", "09:00", "Not a valid date"), ("1999-01-01", "09:00", "passed")],
)
def test_a_time_that_is_none_is_refused(staff: FlaskClient, cast: Cast, due: str, due_time: str, sentence: str) -> None:
    notice = written()
    answer = act(staff, notice, "schedule", due=due, due_time=due_time)
    assert answer.status_code == 422
    assert sentence in text_of(answer)


def test_copies_and_deletions(staff: FlaskClient, cast: Cast) -> None:
    notice = written()
    copied = act(staff, notice, "duplicate").headers["Location"]
    assert re.fullmatch(rf".*{NOTICES}/\d+/edit", copied)
    assert act(staff, notice, "delete", version=99).status_code == 409
    assert act(staff, notice, "delete").status_code == 303
    assert staff.get(f"{NOTICES}/{notice.id}").status_code == 404
    assert staff.get(copied).status_code == 200


def test_the_list_is_searched_filtered_and_paged(staff: FlaskClient, cast: Cast) -> None:
    assert "Nothing has been written yet" in text_of(staff.get(NOTICES))
    counts = []
    for number in (1, 51):
        for each in range(number):
            written(title=f"Straße {number}-{each} 100 %")
        with counted_queries() as statements:
            assert staff.get(NOTICES).status_code == 200
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert staff.get(f"{NOTICES}?page=2").status_code == 200
    for missing in ("page=3", "page=0", "page=x", "state=gone"):
        assert staff.get(f"{NOTICES}?{missing}").status_code == 404

    def found(**query: str) -> int:
        page = staff.get(NOTICES, query_string=query, headers=FRAGMENT).get_data(as_text=True)
        return page.count('id="notice-')

    assert found(q="STRASSE 51-5") == 2
    assert found(q="_") == 0
    assert found(state="sent") == 0
    assert found(state="draft") == 50


def test_drafts_stand_above_the_broadcasts_for_those_who_may_write(
    staff: FlaskClient, sign_in: SignIn, cast: Cast
) -> None:
    for number in range(7):
        written(title=f"Draft {number}")
    page = text_of(staff.get("/admin/broadcasts"))
    assert "Not sent yet" in page
    assert "All 7 that are not sent yet" in page
    assert "Write a notice" in page
    office = text_of(sign_in(cast.olaf).get("/admin/broadcasts"))
    assert "Draft" not in office
    assert "Write a notice" not in office


def test_what_did_not_start_says_so(staff: FlaskClient, cast: Cast) -> None:
    notice = written()
    notice.trouble = "It was due more than 24 hours before anything could start it."
    db.session.commit()
    assert "more than 24 hours" in text_of(staff.get(f"{NOTICES}/{notice.id}"))
    assert "Did not start" in text_of(staff.get(NOTICES))
    assert "did not start" in text_of(staff.get("/admin/broadcasts"))


def test_a_broadcast_that_began_late_says_how_late(staff: FlaskClient, cast: Cast) -> None:
    notice, now = written(), clock.utcnow()
    notice.state, notice.due_at = NoticeState.SCHEDULED, now - timedelta(hours=3)
    db.session.flush()
    actions.start_due(notice.id, now)
    db.session.commit()
    page = text_of(staff.get(f"/admin/broadcasts/{again(notice).broadcast_id}"))
    assert "3 hours late" in page


def test_a_notice_of_two_languages_is_looked_at_in_both(staff: FlaskClient, cast: Cast) -> None:
    words = {**WORDS, "de": {"subject": "Neue Zeiten", "body": "Guten Tag **{{name}}**"}}
    notice = actions.write(words, Chosen(everyone=True), by=SYSTEM, author_id=None, now=clock.utcnow())
    db.session.commit()
    path = f"{NOTICES}/{notice.id}"
    assert "Neue Zeiten" in text_of(staff.get(f"{path}?language=de"))
    frame = staff.get(f"{path}/mail?language=de&reader_id={cast.alice.id}").get_data(as_text=True)
    assert "Guten Tag <strong>Alice</strong>" in frame
    assert "Keine Neuigkeiten und Mitteilungen mehr" in frame
