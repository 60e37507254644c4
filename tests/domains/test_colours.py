"""The colours of service statuses: kept by portal domain, never two the same."""

from typing import Any

import pytest
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.domains import actions
from portal.domains.models import PortalDomain
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from tests.conftest import NOW, Cast

BY: dict[str, Any] = {"by": SYSTEM, "now": NOW}


def color(domain: PortalDomain, version: int | None = None, **colors: str) -> int:
    return actions.set_status_colors(domain, colors, version=domain.version if version is None else version, **BY)


def test_only_what_was_chosen_is_kept_and_it_can_be_taken_back(cast: Cast) -> None:
    assert color(cast.domain_a, system_is_down=" #8B1E5F ", scheduled_service="", nonsense="#000000") == 1
    assert cast.domain_a.status_colors == {"system_is_down": "#8b1e5f"}
    assert cast.domain_b.status_colors == {}
    assert color(cast.domain_a) == 0
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "portal.status_colors")).all()
    assert [(each.before, each.after) for each in entries] == [
        (None, {"system_is_down": "#8b1e5f"}),
        ({"system_is_down": "#8b1e5f"}, None),
    ]


def test_what_changes_nothing_raises_no_version(cast: Cast) -> None:
    version = cast.domain_a.version
    assert color(cast.domain_a) == 0
    assert cast.domain_a.version == version


@pytest.mark.parametrize("bad", ["red", "#fff", "#12345g", "url(x)", "#123456;}"])
def test_what_is_no_colour_is_refused(cast: Cast, bad: str) -> None:
    with pytest.raises(RuleViolation) as refused:
        color(cast.domain_a, system_is_down=bad)
    assert refused.value.field == "system_is_down"


def test_two_statuses_never_look_the_same_and_nobody_is_overwritten(cast: Cast) -> None:
    with pytest.raises(RuleViolation) as refused:
        color(cast.domain_a, scheduled_service="#123456", system_is_down="#123456")
    assert refused.value.field == "system_is_down"
    opened = cast.domain_a.version
    color(cast.domain_a, system_is_down="#8b1e5f")
    with pytest.raises(StaleEdit):
        color(cast.domain_a, opened, system_is_down="#000000")
