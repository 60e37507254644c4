"""Reading portal domains."""

from portal.audit.rules import SYSTEM
from portal.domains import actions
from portal.domains.queries import domains_showing_status
from portal.domains.rules import Area
from tests.conftest import NOW, Cast


def test_a_domain_without_status_hears_nothing_of_incidents(cast: Cast) -> None:
    actions.set_areas(cast.domain_b, {Area.SERVICES}, version=cast.domain_b.version, by=SYSTEM, now=NOW)
    assert domains_showing_status() == [cast.domain_a.id]


def test_one_exception_is_enough_to_show_status(cast: Cast) -> None:
    actions.set_areas(cast.domain_b, set(), version=cast.domain_b.version, by=SYSTEM, now=NOW)
    actions.set_override(cast.domain_b, cast.b, Area.STATUS, True, by=SYSTEM, now=NOW)
    assert set(domains_showing_status()) == {cast.domain_a.id, cast.domain_b.id}


def test_the_public_page_alone_shows_status(cast: Cast) -> None:
    actions.set_areas(cast.domain_a, {Area.PUBLIC_STATUS}, version=cast.domain_a.version, by=SYSTEM, now=NOW)
    assert cast.domain_a.id in domains_showing_status()
