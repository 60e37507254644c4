"""The style sheets of work statuses: everything for staff, and for customers nothing but what they see anyway."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from portal import clock
from portal.accounts.models import Session
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.jobs.rules import NEUTRAL_NAME, PublicStatus, Role, Showing, WorkKind, public_key, resolutions
from portal.jobs.sheets import public_sheet, staff_sheet
from tests.conftest import NOW, Cast, SignIn, counted_queries
from tests.customer.jobs.conftest import Book
from tests.jobs.conftest import role, save, settings

LINK = re.compile(r'<link rel="stylesheet" href="(/(?:admin/)?badges/[0-9a-f]{12}\.css)">')
LIVE = {"HX-Request": "true", "X-Background": "1"}


def test_customers_get_public_colours_under_opaque_names_only(cast: Cast, sign_in: SignIn) -> None:
    save(
        replace(role(Role.ON_HOLD), name="Dispute", color="#123456", portal_color="#654321", portal_name="With us"),
        replace(role(Role.SCHEDULED), color="#abcdef", showing=Showing.HIDDEN),
    )
    answer = sign_in(cast.alice).get(f"/badges/{public_sheet().version}.css")
    text = answer.get_data(as_text=True)
    assert f".w-{public_key(WorkKind.JOB, 'With us')}{{--ground:#654321;--on-ground:#ffffff}}" in text
    assert "#123456" not in text
    assert "#abcdef" not in text
    lines = text.splitlines()
    assert lines == sorted(lines)
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert answer.mimetype == "text/css"


def test_whatever_can_be_shown_has_a_colour(cast: Cast) -> None:
    kind = WorkKind.QUOTE
    save(
        replace(role(Role.ON_HOLD, kind), showing=Showing.MAPPED, mapped_to_id=role(Role.SENT, kind).id),
        replace(role(Role.DECLINED, kind), portal_name=role(Role.SENT, kind).portal_name, portal_color="#abcdef"),
        kind=kind,
    )
    sheet = public_sheet().text
    for each in WorkKind:
        found = resolutions(settings(each).table).values()
        keys = {status.key for status in found if isinstance(status, PublicStatus)}
        assert keys
        assert all(sheet.count(f".w-{key}{{") == 1 for key in keys | {public_key(each, NEUTRAL_NAME)})


def test_another_version_is_asked_for_again(cast: Cast, sign_in: SignIn) -> None:
    before = public_sheet().version
    save(replace(role(Role.ON_HOLD), portal_color="#654321"))
    assert public_sheet().version != before
    old = sign_in(cast.alice).get(f"/badges/{before}.css")
    assert "#654321" in old.get_data(as_text=True)
    assert old.headers["Cache-Control"] == "private, no-cache"


def test_what_is_saved_inside_moves_neither_sheet_nor_etag_of_a_customer(
    cast: Cast, work: Book, sign_in: SignIn
) -> None:
    for kind in WorkKind:
        save(*[replace(row, portal_color=row.color) for row in settings(kind).table.rows], kind=kind)
        work(Role.ON_HOLD, kind=kind)
    client = sign_in(cast.alice)
    paths = ("/", "/jobs", "/quotes", "/your-jobs", "/your-quotes")
    before, inside = public_sheet(), staff_sheet()
    etags = [client.get(path).headers["ETag"] for path in paths]
    for kind in WorkKind:
        rows = [
            replace(row, name=f"{row.name} within", color="#123456", is_mailed=not row.is_mailed)
            for row in settings(kind).table.rows
        ]
        save(*rows, kind=kind)
    assert staff_sheet().version != inside.version
    assert public_sheet() == before
    assert [client.get(path).headers["ETag"] for path in paths] == etags


def test_staff_get_every_colour_inside_and_what_customers_see(cast: Cast, sign_in: SignIn) -> None:
    save(replace(role(Role.ON_HOLD), portal_color="#654321"))
    held = role(Role.ON_HOLD)
    answer = sign_in(cast.ada).get(f"/admin/badges/{staff_sheet().version}.css")
    text = answer.get_data(as_text=True)
    assert f".s-{held.id}{{--ground:{held.color};--on-ground:#000000}}" in text
    assert f".w-{public_key(WorkKind.JOB, held.portal_name)}{{--ground:#654321;--on-ground:#ffffff}}" in text
    assert text.count(".s-") == sum(len(settings(kind).table.rows) for kind in WorkKind)
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"


def test_a_sheet_is_one_query(cast: Cast) -> None:
    for sheet in (public_sheet, staff_sheet):
        with counted_queries() as statements:
            sheet()
        assert len(statements) == 1


def test_only_pages_that_show_work_ask_for_it(cast: Cast, work: Book, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    for path in ("/", "/jobs", "/quotes", "/your-jobs", "/services", "/status"):
        assert not LINK.findall(client.get(path).text), path
    work(), work(kind=WorkKind.QUOTE)
    address = f"/badges/{public_sheet().version}.css"
    for path in ("/jobs", "/quotes", "/jobs/J-1001", "/quotes/Q-1001", "/your-jobs", "/your-quotes"):
        for headers in ({}, LIVE):
            found = LINK.findall(client.get(path, headers=headers).text)
            assert set(found) == {address}, path
    assert not LINK.findall(client.get("/services").text)
    assert not LINK.findall(client.get("/banner", headers=LIVE).text)


def test_staff_pages_ask_for_the_staffs(cast: Cast, work: Book, sign_in: SignIn) -> None:
    work(), work(kind=WorkKind.QUOTE)
    client, address = sign_in(cast.olaf), f"/admin/badges/{staff_sheet().version}.css"
    for path in ("jobs", "jobs/board", "jobs/J-1001", "quotes", "quotes/Q-1001", "my-work", "my-work/J-1001"):
        for headers in ({}, LIVE):
            assert LINK.findall(client.get(f"/admin/{path}", headers=headers).text) == [address], path
    assert not LINK.findall(client.get("/admin/").text)


@pytest.mark.parametrize("area", [Area.JOBS, Area.QUOTES])
def test_either_area_is_enough(cast: Cast, sign_in: SignIn, area: Area) -> None:
    domain = cast.domain_a
    domains.set_areas(domain, {area}, version=domain.version, by=SYSTEM, now=NOW)
    db.session.commit()
    assert sign_in(cast.alice).get(f"/badges/{public_sheet().version}.css").status_code == 200


def test_where_neither_jobs_nor_quotes_are_shown_there_is_no_sheet(cast: Cast, sign_in: SignIn) -> None:
    domain = cast.domain_a
    domains.set_areas(domain, {Area.STATUS}, version=domain.version, by=SYSTEM, now=NOW)
    db.session.commit()
    assert sign_in(cast.alice).get(f"/badges/{public_sheet().version}.css").status_code == 404


def test_a_sheet_that_a_live_refresh_brings_keeps_no_session_alive(cast: Cast, sign_in: SignIn) -> None:
    addresses = {cast.alice: f"/badges/{public_sheet().version}.css"}
    addresses[cast.olaf] = f"/admin/badges/{staff_sheet().version}.css"
    for person, address in addresses.items():
        client = sign_in(person)
        before = clock.utcnow() - timedelta(minutes=10)
        db.session.execute(update(Session).values(last_seen_at=before))
        db.session.commit()
        assert client.get(address).status_code == 200
        assert set(db.session.scalars(db.select(Session.last_seen_at))) == {before}
