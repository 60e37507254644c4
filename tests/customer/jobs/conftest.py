"""Work of the cast's companies, made and committed as staff would."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from portal import clock, events
from portal.accounts.models import Company
from portal.audit.rules import Actor
from portal.jobs import actions, queries
from portal.jobs.models import WorkItem
from portal.jobs.rules import Role, WorkKind
from tests.conftest import Cast

OLAF = Actor("olaf@people.test")

Book = Callable[..., WorkItem]


@pytest.fixture
def work(cast: Cast) -> Book:
    """Make an item of company A in the status of a role, and commit."""

    def made(
        role: Role = Role.REQUESTED,
        *,
        kind: WorkKind = WorkKind.JOB,
        title: str = "Move the router",
        company: Company | None = None,
        now: datetime | None = None,
        **values: Any,
    ) -> WorkItem:
        status_id = queries.settings_of(kind).table.with_role(role).id
        item = actions.create_item(
            kind,
            title,
            company_id=(company or cast.a).id,
            status_id=status_id,
            by=OLAF,
            now=now or clock.utcnow(),
            **values,
        )
        events.commit()
        return item

    return made


def move_to(item: WorkItem, role: Role, reason: str = "Because") -> None:
    """Move an item as staff would, and commit."""
    status_id = queries.settings_of(item.kind).table.with_role(role).id
    actions.move(item, status_id, by=OLAF, now=clock.utcnow(), reason=reason)
    events.commit()
