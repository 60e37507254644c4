"""What a service says of itself, the services to begin with, and how one leaves the list."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.rules import STAFF, Viewpoint
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue import actions, queries
from portal.catalogue.models import HoldingDependency, Service, ServiceDependency
from portal.catalogue.queries import lists
from portal.catalogue.queries.search import search_services
from portal.catalogue.rules.services import (
    ALIASES_AT_MOST,
    ICONS,
    STARTERS,
    STATUSES,
    DetailError,
    Details,
    clean_aliases,
    clean_details,
    clean_notifies,
)
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.filters import LOOKS
from portal.services.rules import ServiceStatus
from tests.conftest import NOW, Cast

LATER = NOW + timedelta(hours=1)
BY: dict[str, Any] = {"by": SYSTEM, "now": NOW}
BY_LATER: dict[str, Any] = {"by": SYSTEM, "now": LATER}


def test_aliases_are_kept_once_cleaned_and_never_the_name() -> None:
    typed = [" Mail,  E-Mail ;MAIL|Outlook\nTeams ", "email"]
    assert clean_aliases(typed, "Email") == ["Mail", "E-Mail", "Outlook", "Teams"]
    assert clean_aliases(["Stra\N{LATIN SMALL LETTER SHARP S}e", "STRASSE"], "x") == [
        "Stra\N{LATIN SMALL LETTER SHARP S}e"
    ]
    assert clean_aliases([str(number) for number in range(ALIASES_AT_MOST)], "x")
    for wrong in (["x" * 61], [str(number) for number in range(ALIASES_AT_MOST + 1)]):
        with pytest.raises(DetailError):
            clean_aliases(wrong, "Email")


def test_what_is_mailed_is_everything_or_what_was_chosen() -> None:
    assert clean_notifies(None) is None
    assert clean_notifies(reversed_statuses := list(reversed(STATUSES))) is None
    assert clean_notifies(reversed_statuses[:2]) == ("intermittent_problems", "system_is_down")
    assert clean_notifies(()) == ()
    with pytest.raises(DetailError):
        clean_notifies(["somewhat_down"])


def test_an_icon_is_one_that_is_drawn(app: Any) -> None:
    drawn = app.jinja_env.get_template("components/icon.html").module.drawings
    assert set(ICONS) <= set(drawn)
    assert {starter.icon for starter in STARTERS} <= set(ICONS)
    with pytest.raises(DetailError):
        clean_details(Details(icon="dragon"), "Email")


def test_the_statuses_are_those_of_services() -> None:
    assert tuple(each.value for each in ServiceStatus) == STATUSES
    assert set(LOOKS["service"]) == set(STATUSES)


def test_details_are_stored_changed_and_written_down(cast: Cast) -> None:
    service = actions.add_service("Email", details=Details("mail", ("Outlook",), ("system_is_down",)), **BY)
    assert (service.icon, service.aliases, service.notifies) == ("mail", ["Outlook"], ["system_is_down"])
    version = service.version
    actions.edit_service(service, "Email", category="", description=None, version=version, **BY_LATER)
    assert service.version == version, "nothing was said, nothing has changed"
    wanted = Details("cloud", ("Outlook", "Teams"))
    actions.edit_service(service, "Email", category="", description=None, details=wanted, version=version, **BY_LATER)
    db.session.refresh(service)
    assert (service.icon, service.aliases, service.notifies) == ("cloud", ["Outlook", "Teams"], None)
    assert service.alias_keys == "outlook\nteams"
    entry = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["icon"], entry.after["icon"]) == ("mail", "cloud")
    assert entry.after["notifies"] is None
    with pytest.raises(StaleEdit):
        actions.edit_service(service, "Email", category="", description=None, details=wanted, version=1, **BY)
    with pytest.raises(RuleViolation) as refused:
        actions.add_service("Other", details=Details(aliases=("x" * 61,)), **BY)
    assert refused.value.field == "aliases"


def test_a_service_is_found_by_another_name_after_those_called_so(cast: Cast) -> None:
    mail = actions.add_service("Microsoft 365", details=Details(aliases=("E-Mail", "Störungsmail")), **BY)
    named = actions.add_service("E-mail archive", **BY)
    actions.add_holding(cast.a, mail, **BY)
    db.session.flush()
    found = search_services(STAFF, "e-mail", 10, NOW)
    assert [each.id for each in found.items] == [named.id, mail.id]
    assert [each.id for each in search_services(STAFF, "störung", 10, NOW).items] == [mail.id]
    assert [each.id for each in search_services(Viewpoint(company_id=cast.a.id), "e-mail", 10, NOW).items] == [mail.id]
    assert not search_services(Viewpoint(company_id=cast.b.id), "e-mail", 10, NOW).items
    assert [each.id for each in lists.services_found("Störungs", is_archived=False, page=1).items] == [mail.id]


def test_the_services_to_begin_with_are_offered_once_and_added_once(cast: Cast) -> None:
    assert lists.offers_starters()
    added = actions.add_starters(["email", "voip", "no such one"], **BY)
    assert [each.name for each in added] == ["Email / Microsoft 365", "VoIP Phone System"]
    assert [each.category for each in added] == ["Cloud Services", "Communications"]
    assert added[0].icon == "mail"
    assert "Outlook" in added[0].aliases
    assert not lists.offers_starters()
    assert actions.add_starters(["email", "voip"], **BY) == []
    assert len(lists.all_services()) == 2


def test_whoever_declines_is_not_asked_again_nor_who_began_alone(cast: Cast) -> None:
    actions.add_starters([], **BY)
    assert not lists.offers_starters()
    assert not lists.all_services()


def test_with_a_service_of_its_own_nothing_is_offered_even_when_it_is_gone(cast: Cast) -> None:
    service = actions.add_service("Own", **BY)
    assert not lists.offers_starters()
    actions.delete_service(service, version=service.version, **BY)
    assert not lists.offers_starters()


def test_a_service_nobody_ever_held_is_deleted_and_any_other_is_not(cast: Cast) -> None:
    component = actions.add_component("Ring", **BY)
    never, once = (actions.add_service(name, **BY) for name in ("Never", "Once"))
    actions.set_dependencies(never, [component.id], **BY)
    holding = actions.add_holding(cast.a, once, **BY)
    actions.end_holding(holding, version=holding.version, **BY_LATER)
    with pytest.raises(StaleEdit):
        actions.delete_service(never, version=never.version + 1, **BY)
    actions.delete_service(never, version=never.version, **BY_LATER)
    assert [each.name for each in lists.all_services()] == ["Once"]
    assert lists.all_services()[0].position == 0
    assert not db.session.scalars(select(ServiceDependency)).all()
    with pytest.raises(RuleViolation, match="Archive it instead"):
        actions.delete_service(once, version=once.version, **BY_LATER)
    assert db.session.get(Service, once.id)


def test_archiving_ends_what_is_held_where_that_is_wanted(cast: Cast) -> None:
    component = actions.add_component("Ring", **BY)
    service = actions.add_service("Email", **BY)
    held = [actions.add_holding(cast.a, service, reference=each, component_ids=[component.id], **BY) for each in "12"]
    other = actions.add_holding(cast.b, actions.add_service("Noise", **BY), **BY)
    versions = [each.version for each in held]
    with pytest.raises(RuleViolation, match="still held 2 times"):
        actions.archive_service(service, version=service.version, **BY_LATER)
    assert actions.archive_service(service, version=service.version, ends_holdings=True, **BY_LATER) == 2
    assert [each.valid_to for each in held] == [LATER, LATER]
    assert [each.version for each in held] == [version + 1 for version in versions]
    assert {each.valid_to for each in db.session.scalars(select(HoldingDependency))} == {LATER}
    assert other.valid_to is None
    assert queries.services_held(cast.a.id, LATER) == []
    entries = db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert entries[-3:] == ["holding.end", "holding.end", "service.archive"]
    assert actions.archive_service(service, version=service.version, **BY_LATER) == 0
