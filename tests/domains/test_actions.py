"""Portal domains: addresses, switches, exceptions and who is admitted."""

from typing import Any

import pytest
from sqlalchemy import select

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.models import Session
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.domains import actions
from portal.domains.models import AreaOverride, PortalDomain
from portal.domains.queries import (
    admissions_of,
    companies_with_area_open,
    domain_by_host,
    home_of,
    is_admitted,
    open_areas,
    override_counts,
    overrides_on,
)
from portal.domains.queries.admissions import affected, exceptions_page, outcomes
from portal.domains.rules import Area
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from tests.conftest import NOW, Cast, counted_queries

BY: dict[str, Any] = {"by": SYSTEM, "now": NOW}


def edit(domain: PortalDomain, **changes: Any) -> None:
    fields: dict[str, Any] = {
        "base_url": domain.base_url,
        "brand": domain.brand,
        "accent": domain.accent,
        "language": domain.language,
        "time_zone": domain.time_zone,
        "support_email": domain.support_email,
        "support_phone": domain.support_phone,
        "version": domain.version,
    }
    actions.edit_domain(domain, **{**fields, **changes}, **BY)


def test_a_new_domain_has_every_area_off_but_those_it_was_given(session: None) -> None:
    domain = actions.add_domain("https://c.portal.test", "C", areas=[Area.SERVICES], **BY)
    assert open_areas(domain, None) == open_areas(domain, 1) == {Area.SERVICES}


def test_two_domains_cannot_share_a_host_whatever_the_port_or_scheme(cast: Cast) -> None:
    for address in ("http://a.portal.test", "https://A.portal.test.:8443", "a.portal.test"):
        with pytest.raises(RuleViolation) as refusal:
            actions.add_domain(address, "Twin", areas=[], **BY)
        assert refusal.value.field == "base_url"
    with pytest.raises(RuleViolation):
        edit(cast.domain_b, base_url="http://a.portal.test")
    edit(cast.domain_a, base_url="https://a.portal.test:8443")
    assert cast.domain_a.base_url == "https://a.portal.test:8443"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "https://user@a.test"),
        ("base_url", "https://bücher.example"),
        ("brand", " \x00"),
        ("brand", "x" * 101),
        ("accent", "red"),
        ("accent", "#12345"),
        ("accent", "#12345g"),
        ("language", "tlh"),
        ("time_zone", "Mars/Base"),
        ("support_email", "nobody"),
        ("support_email", "a@b.test\nBcc: c@d.test,"),
        ("support_phone", "1" * 41),
        ("support_phone", "call us"),
        ("support_phone", "+44 20;ext=1"),
        ("support_hours", "x" * 121),
        ("tagline", "x" * 161),
        ("help_url", "javascript:alert(1)"),
        ("help_url", "help.example.com"),
        ("help_url", "https://user@evil.test/"),
        ("help_url", "https://[/"),
        ("help_url", "https://help.example.com/a b"),
        ("help_url", "https:\\\\evil.test"),
        ("help_url", "https://help.example.com/" + "x" * 300),
    ],
)
def test_a_bad_setting_is_refused_beside_its_field_and_changes_nothing(cast: Cast, field: str, value: str) -> None:
    with pytest.raises(RuleViolation) as refusal:
        edit(cast.domain_a, **{"brand": "Changed", field: value})
    assert refusal.value.field == field
    assert cast.domain_a.brand == "Northline"


def test_an_older_version_is_refused(cast: Cast) -> None:
    opened = cast.domain_a.version
    actions.set_areas(cast.domain_a, [Area.STATUS], version=opened, **BY)
    with pytest.raises(StaleEdit):
        actions.set_areas(cast.domain_a, [], version=opened, **BY)
    with pytest.raises(StaleEdit):
        edit(cast.domain_a, version=opened)


def test_switches_ring_the_domain(cast: Cast) -> None:
    db.session.info.pop("topics", None)
    actions.set_areas(cast.domain_a, [], version=cast.domain_a.version, **BY)
    assert db.session.info["topics"] == {events.STAFF, events.public_topic(cast.domain_a.id)}


def test_an_exception_counts_for_its_company_on_its_domain_alone(cast: Cast) -> None:
    actions.admit(cast.a, cast.domain_b, is_home=False, **BY)
    actions.set_override(cast.domain_a, cast.a, Area.STATUS, False, **BY)
    assert Area.STATUS not in open_areas(cast.domain_a, cast.a.id)
    assert Area.STATUS in open_areas(cast.domain_b, cast.a.id)
    assert Area.STATUS in open_areas(cast.domain_a, None)
    actions.set_override(cast.domain_a, cast.a, Area.STATUS, None, **BY)
    assert Area.STATUS in open_areas(cast.domain_a, cast.a.id)


def test_no_exception_for_the_public_page_or_for_a_stranger(cast: Cast) -> None:
    for company, area in ((cast.a, Area.PUBLIC_STATUS), (cast.b, Area.STATUS)):
        with pytest.raises(RuleViolation):
            actions.set_override(cast.domain_a, company, area, True, **BY)


def test_mail_follows_the_home_domain_and_its_exceptions(cast: Cast) -> None:
    both = [cast.a.id, cast.b.id]
    assert companies_with_area_open(Area.STATUS, both) == set(both)
    actions.set_areas(cast.domain_a, [], version=cast.domain_a.version, **BY)
    actions.admit(cast.a, cast.domain_b, is_home=False, **BY)
    assert companies_with_area_open(Area.STATUS, both) == {cast.b.id}
    actions.set_override(cast.domain_a, cast.a, Area.STATUS, True, **BY)
    actions.set_override(cast.domain_b, cast.b, Area.STATUS, False, **BY)
    assert companies_with_area_open(Area.STATUS, both) == {cast.a.id}


def test_a_company_has_exactly_one_home(cast: Cast) -> None:
    actions.admit(cast.a, cast.domain_b, is_home=True, **BY)
    actions.admit(cast.a, cast.domain_b, is_home=True, **BY)
    assert [(each.domain_id, each.is_home) for each in admissions_of(cast.a.id)] == [
        (cast.domain_b.id, True),
        (cast.domain_a.id, False),
    ]
    assert home_of(cast.a.id) is cast.domain_b


def test_a_company_leaves_a_domain_with_its_exceptions_but_never_its_home(cast: Cast) -> None:
    actions.admit(cast.a, cast.domain_b, is_home=False, **BY)
    actions.set_override(cast.domain_b, cast.a, Area.STATUS, False, **BY)
    actions.dismiss(cast.a, cast.domain_b, **BY)
    actions.dismiss(cast.a, cast.domain_b, **BY)
    assert not is_admitted(cast.a.id, cast.domain_b.id)
    assert override_counts(cast.domain_b.id) == {}
    with pytest.raises(RuleViolation):
        actions.dismiss(cast.a, cast.domain_a, **BY)


def test_exceptions_are_listed_so_many_of_each_area(cast: Cast) -> None:
    actions.admit(cast.b, cast.domain_a, is_home=False, **BY)
    for company in (cast.a, cast.b):
        for area in (Area.STATUS, Area.SERVICES):
            actions.set_override(cast.domain_a, company, area, False, **BY)
    db.session.flush()
    db.session.expunge_all()
    with counted_queries() as statements:
        found = [(each.area, each.company.name) for each in overrides_on(cast.domain_a.id, 1)]
    assert found == [(Area.SERVICES, "Alder Dental"), (Area.STATUS, "Alder Dental")]
    assert len(statements) == 1
    assert override_counts(cast.domain_a.id) == {Area.SERVICES: 2, Area.STATUS: 2}


def test_what_customers_need_to_reach_a_human_is_kept_as_it_was_typed(cast: Cast) -> None:
    edit(
        cast.domain_a, support_phone="+44 (0)20 7946-0000", support_hours=" Mon to Fri ", help_url="https://h.test/a?b"
    )
    channels = cast.domain_a.support
    assert (channels.phone_link, channels.hours, channels.help_host) == ("+4402079460000", "Mon to Fri", "h.test")
    assert channels.in_words() == "+44 (0)20 7946-0000 (Mon to Fri) · https://h.test/a?b"
    edit(cast.domain_a)
    assert cast.domain_a.support.in_words() == "+44 (0)20 7946-0000"


def test_a_home_that_moves_leaves_the_old_one_open(cast: Cast) -> None:
    """So links the company has been sent keep working."""
    actions.admit(cast.a, cast.domain_b, is_home=True, **BY)
    assert home_of(cast.a.id) is cast.domain_b
    assert [each.domain_id for each in admissions_of(cast.a.id)] == [cast.domain_b.id, cast.domain_a.id]
    entry = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()
    assert (entry.action, entry.before, entry.after) == (
        "portal.admit",
        {"home_id": cast.domain_a.id},
        {"is_home": True},
    )
    count = len(db.session.scalars(select(AuditEntry)).all())
    actions.admit(cast.a, cast.domain_b, is_home=True, **BY)
    actions.admit(cast.a, cast.domain_b, is_home=False, **BY)
    assert len(db.session.scalars(select(AuditEntry)).all()) == count, "what changes nothing is no entry"
    assert home_of(cast.a.id) is cast.domain_b


def test_an_exception_somebody_else_changed_is_not_overwritten(cast: Cast) -> None:
    actions.set_override(cast.domain_a, cast.a, Area.STATUS, False, was=None, **BY)
    for was in (None, True):
        with pytest.raises(StaleEdit):
            actions.set_override(cast.domain_a, cast.a, Area.STATUS, True, was=was, **BY)
    actions.set_override(cast.domain_a, cast.a, Area.STATUS, True, was=False, **BY)
    assert Area.STATUS in open_areas(cast.domain_a, cast.a.id)


def test_a_domain_that_is_a_home_cannot_be_removed(cast: Cast) -> None:
    for number in range(6):
        company = accounts.add_company(f"Company {number}", **BY)
        actions.admit(company, cast.domain_a, is_home=True, **BY)
    with pytest.raises(RuleViolation, match=r"Alder Dental, Company 0, .* and 2 more"):
        actions.remove_domain(cast.domain_a, version=cast.domain_a.version, **BY)


def test_a_domain_is_removed_with_all_that_hangs_on_it(cast: Cast) -> None:
    domain = actions.add_domain("https://c.portal.test", "C", areas=[Area.STATUS], **BY)
    actions.admit(cast.a, domain, is_home=False, **BY)
    actions.set_override(domain, cast.a, Area.SERVICES, True, **BY)
    actions.add_host(domain, "www.c.portal.test", staff_host="x", version=domain.version, **BY)
    accounts.open_session(cast.alice, cast.a.id, "c.portal.test", ip="", user_agent="", now=NOW)
    accounts.open_session(cast.alice, cast.a.id, "a.portal.test", ip="", user_agent="", now=NOW)
    db.session.flush()
    with pytest.raises(StaleEdit):
        actions.remove_domain(domain, version=domain.version - 1, **BY)
    actions.remove_domain(domain, version=domain.version, **BY)
    db.session.expire_all()
    assert domain_by_host("c.portal.test") is None
    assert domain_by_host("www.c.portal.test") is None
    assert not db.session.scalars(select(AreaOverride)).all()
    assert [each.domain_id for each in admissions_of(cast.a.id)] == [cast.domain_a.id]
    ended = {each.host: each.revoked_at is not None for each in db.session.scalars(select(Session))}
    assert ended == {"c.portal.test": True, "a.portal.test": False}
    actions.add_domain("https://www.c.portal.test", "C again", areas=[], **BY)


def test_how_many_see_an_area_is_counted_with_the_exceptions(cast: Cast) -> None:
    third = accounts.add_company("Cedar Foods", **BY)
    for company in (cast.b, third):
        actions.admit(company, cast.domain_a, is_home=False, **BY)
    actions.set_areas(cast.domain_a, [Area.STATUS], version=cast.domain_a.version, **BY)
    actions.set_override(cast.domain_a, cast.b, Area.STATUS, False, **BY)
    actions.set_override(cast.domain_a, cast.a, Area.SERVICES, True, **BY)
    actions.set_override(cast.domain_a, third, Area.SERVICES, False, **BY)
    db.session.flush()
    with counted_queries() as statements:
        counts = affected(cast.domain_a, 3)
    assert len(statements) == 1
    assert (counts[Area.STATUS], counts[Area.SERVICES], counts[Area.JOBS]) == (2, 1, 0)


def test_outcomes_say_what_a_company_ends_with_and_why(cast: Cast) -> None:
    actions.admit(cast.b, cast.domain_a, is_home=False, **BY)
    actions.set_override(cast.domain_a, cast.b, Area.STATUS, False, **BY)
    found = [(each.company.name, each.is_open, each.exception) for each in outcomes(cast.domain_a, Area.STATUS, "", 9)]
    assert found == [("Alder Dental", True, None), ("Birch Logistics", False, False)]
    assert [each.company.name for each in outcomes(cast.domain_a, Area.STATUS, "BIR", 9)] == ["Birch Logistics"]
    listed = exceptions_page(cast.domain_a, Area.STATUS, "", 1)
    assert listed is not None
    assert (listed.total, listed.pages) == (1, 1)
    assert exceptions_page(cast.domain_a, Area.STATUS, "", 2) is None
