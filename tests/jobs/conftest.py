"""Jobs of the cast's companies, and the settings as an installation begins with them."""

from collections.abc import Callable
from datetime import datetime

import pytest

from portal.audit.rules import SYSTEM, Actor
from portal.extensions import db
from portal.jobs import actions, queries
from portal.jobs.models import WorkItem
from portal.jobs.rules import Role, StatusRow, StatusTable, WorkKind
from tests.conftest import NOW, Cast

OLAF = Actor("olaf@people.test")

Make = Callable[..., WorkItem]


@pytest.fixture
def make(cast: Cast) -> Make:
    """Make an item of company A, in the status of a role."""

    def made(
        role: Role = Role.REQUESTED, *, kind: WorkKind = WorkKind.JOB, now: datetime = NOW, company_id: int = 0
    ) -> WorkItem:
        status_id = queries.settings_of(kind).table.with_role(role).id
        return actions.create_item(
            kind, "Move the router", company_id=company_id or cast.a.id, status_id=status_id, by=SYSTEM, now=now
        )

    return made


def settings(kind: WorkKind = WorkKind.JOB) -> queries.Settings:
    return queries.settings_of(kind)


def save(
    *rows: StatusRow, kind: WorkKind = WorkKind.JOB, now: datetime = NOW, tell: bool = False, by: Actor = OLAF
) -> actions.Saved:
    """Save the table with these rows in the place of those of the same id, or behind the others."""
    present = settings(kind)
    changed = {row.id: row for row in rows}
    wanted = [changed.pop(row.id, row) for row in present.table.rows] + list(changed.values())
    saved = actions.save_table(kind, wanted, version=present.version, by=by, now=now, tell=tell)
    db.session.commit()
    return saved


def role(wanted: Role, kind: WorkKind = WorkKind.JOB) -> StatusRow:
    return settings(kind).table.with_role(wanted)


def shown(item: WorkItem) -> tuple[str | None, datetime | None]:
    """What the customer reads of an item by what is stored with it, and since when."""
    db.session.refresh(item)
    if item.public_status_id is None:
        return None, item.public_since
    table: StatusTable = settings(item.kind).table
    return table.by_id[item.public_status_id].portal_name, item.public_since
