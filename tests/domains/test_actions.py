"""Portal domains: addresses, switches, exceptions and who is admitted."""

from typing import Any

import pytest

from portal import events
from portal.audit.rules import SYSTEM
from portal.domains import actions
from portal.domains.models import PortalDomain
from portal.domains.queries import (
    admissions_of,
    companies_to_except,
    companies_with_area_open,
    home_of,
    is_admitted,
    open_areas,
    override_counts,
    overrides_on,
)
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


def test_companies_offered_for_an_exception_have_none_yet_and_belong_here(cast: Cast) -> None:
    def offered(text: str) -> list[str]:
        return [each.name for each in companies_to_except(cast.domain_a.id, Area.STATUS, text, 8)]

    assert offered("") == ["Alder Dental"]
    assert offered("birch") == offered("%") == []
    actions.set_override(cast.domain_a, cast.a, Area.STATUS, False, **BY)
    assert offered("alder") == []
