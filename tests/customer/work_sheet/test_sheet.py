"""The style sheets of work statuses: everything for staff, and for customers nothing but what they see anyway."""

from dataclasses import replace

from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.jobs.rules import Role, Showing, WorkKind, public_key
from portal.jobs.sheets import public_sheet, staff_sheet
from tests.conftest import NOW, Cast, SignIn
from tests.jobs.conftest import role, save


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


def test_another_version_is_asked_for_again(cast: Cast, sign_in: SignIn) -> None:
    before = public_sheet().version
    save(replace(role(Role.ON_HOLD), portal_color="#654321"))
    assert public_sheet().version != before
    old = sign_in(cast.alice).get(f"/badges/{before}.css")
    assert "#654321" in old.get_data(as_text=True)
    assert old.headers["Cache-Control"] == "private, no-cache"


def test_an_order_or_a_name_inside_makes_no_new_sheet_for_customers(cast: Cast) -> None:
    before = public_sheet()
    save(replace(role(Role.ON_HOLD), name="Dispute"))
    assert public_sheet() == before


def test_staff_get_every_colour_inside(cast: Cast, sign_in: SignIn) -> None:
    held = role(Role.ON_HOLD)
    text = sign_in(cast.olaf).get(f"/admin/settings/statuses/{staff_sheet().version}.css").get_data(as_text=True)
    assert f".s-{held.id}{{--ground:{held.color};--on-ground:#000000}}" in text
    assert text.count("\n") == 13


def test_where_neither_jobs_nor_quotes_are_shown_there_is_no_sheet(cast: Cast, sign_in: SignIn) -> None:
    domain = cast.domain_a
    domains.set_areas(domain, {Area.STATUS}, version=domain.version, by=SYSTEM, now=NOW)
    db.session.commit()
    assert sign_in(cast.alice).get(f"/badges/{public_sheet().version}.css").status_code == 404
