"""What a database does for a piece of code, in steps of its own and not in seconds: the same on a busy machine."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import event

from portal.extensions import db

STEPS_AT_ONCE = 100
"""Instructions of SQLite's machine between two looks at how many there were."""


def effort_of(act: Callable[[], object]) -> int:
    """Rows that PostgreSQL touches, each as often as a loop or a filter does, or thousands of SQLite's instructions.

    PostgreSQL runs what is read twice, the second time to be told.
    """
    connection = db.session.connection()
    if connection.dialect.name == "sqlite":
        done = 0

        def count() -> int:
            nonlocal done
            done += STEPS_AT_ONCE
            return 0

        raw: Any = connection.connection.dbapi_connection
        raw.set_progress_handler(count, STEPS_AT_ONCE)
        try:
            act()
        finally:
            raw.set_progress_handler(None, 0)
        return done // 1_000

    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(connection, "before_cursor_execute", note)
    touched = 0
    for statement, parameters in asked:
        if statement.lstrip().startswith("SELECT"):
            explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            touched += sum(map(_touched, _nodes(explained.scalar_one()[0]["Plan"])))
    return touched


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from _nodes(inner)


def _touched(node: Mapping[str, Any]) -> int:
    left_out = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
    return int((node["Actual Rows"] + left_out) * node["Actual Loops"])
