"""What must work before requests are sent here, and what may be away for a while."""

from functools import lru_cache

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from portal import events
from portal.extensions import db


def database() -> str:
    """ "ok", "behind" when a migration waits or the schema is newer than the code, "away" when nobody answers."""
    try:
        heads = MigrationContext.configure(db.session.connection()).get_current_heads()
    except SQLAlchemyError:
        db.session.rollback()
        return "away"
    return "ok" if frozenset(heads) == _wanted_heads(current_app.extensions["migrate"].directory) else "behind"


def redis() -> str:
    """ "ok", or "away": then pages poll and the pulse does the work, a little later."""
    bell = events.bell()
    if bell.is_delayed:
        return "away"
    try:
        bell.redis.ping()
    except (RedisError, OSError):
        return "away"
    return "ok"


@lru_cache(maxsize=1)
def _wanted_heads(directory: str) -> frozenset[str]:
    return frozenset(ScriptDirectory(directory).get_heads())
