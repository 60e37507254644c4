"""Lists that people put in order: who changes one first holds off the others, and a stale order is refused."""

from sqlalchemy.dialects import postgresql, sqlite

from portal.catalogue.models import ListOrder
from portal.errors import StaleEdit
from portal.extensions import db

COMPONENTS, SERVICES = "components", "services"
"""The lists people put in order."""

STARTERS_OFFERED = "service starters"
"""A list of one thing: whether the services to begin with were taken or declined. Then it has a version."""


def touch(name: str, version: int | None = None) -> None:
    """Raise the version of a list, and so hold off everybody else who changes it until this transaction ends.

    With `version`, only from that one: StaleEdit when the list has moved on.
    """
    dialect = sqlite if db.session.get_bind().dialect.name == "sqlite" else postgresql
    statement = (
        dialect.insert(ListOrder)
        .values(name=name, version=2)
        .on_conflict_do_update(
            index_elements=["name"],
            set_={"version": ListOrder.version + 1},
            where=None if version is None else ListOrder.version == version,
        )
        .returning(ListOrder.version)
    )
    raised = db.session.scalar(statement)
    if raised is None or (version is not None and raised != version + 1):
        raise StaleEdit
