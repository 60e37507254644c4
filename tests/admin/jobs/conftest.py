"""Jobs and quotes of the cast's companies, made without the screens."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.jobs import actions, queries
from portal.jobs.models import WorkItem
from portal.jobs.rules import Role, WorkKind, written_number
from tests.conftest import NOW, Cast, token_in

Make = Callable[..., WorkItem]


@pytest.fixture
def make(cast: Cast) -> Make:
    """Make an item, of company A unless said otherwise, in the status of a role."""

    def made(title: str, role: Role = Role.REQUESTED, *, kind: WorkKind = WorkKind.JOB, **values: Any) -> WorkItem:
        status_id = queries.settings_of(kind).table.with_role(role).id
        given: dict[str, Any] = {"company_id": cast.a.id, "now": NOW, "by": SYSTEM, "status_id": status_id}
        item = actions.create_item(kind, title, **(given | values))
        db.session.commit()
        return item

    return made


def number(item: WorkItem) -> str:
    return written_number(item.kind, item.number)


def status_id(role: Role, kind: WorkKind = WorkKind.JOB) -> int:
    return queries.settings_of(kind).table.with_role(role).id


def fresh(item: WorkItem) -> WorkItem:
    """The item as the database has it."""
    return db.session.get_one(WorkItem, item.id, populate_existing=True)


def post(client: FlaskClient, path: str, /, **fields: Any) -> tuple[int, str]:
    answer = client.post(path, data={"csrf_token": token_in(client, "/admin/jobs"), **fields})
    return answer.status_code, answer.get_data(as_text=True)
