"""Adding rows that may be there already."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from portal.database import Base
from portal.extensions import db


def insert_new(model: type[Base], *rows: dict[str, Any], **values: Any) -> bool:
    """Add rows that may be there already, or may be added by somebody else at this moment; whether any was new."""
    insert = sqlite.insert if db.session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(model).on_conflict_do_nothing().returning(*model.__table__.primary_key)
    return db.session.execute(statement, list(rows) or [values]).first() is not None
