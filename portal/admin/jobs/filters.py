"""What a list or board shows, as its address says it: read leniently, written in one way only."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import request

from portal import access
from portal.admin.forms import text_wanted
from portal.jobs.queries.items import NOBODY, Filters, Sort, Stage, Window

ME, NONE = "me", "none"

WINDOW_WORDS = {
    Window.TODAY: "Today",
    Window.WEEK: "Next seven days",
    Window.OVERDUE: "Overdue",
    Window.UNPLANNED: "Not planned",
}

STAGE_WORDS = {Stage.OPEN: "Open", Stage.FINISHED: "Finished", Stage.ALL: "All"}

Choice = TypeVar("Choice", bound=StrEnum)


def filters_wanted(args: Mapping[str, str] | None = None) -> Filters:
    """The filters an address asks for; what means nothing is left out."""
    given = request.args if args is None else args
    sort = given.get("sort", "")
    column = _choice(Sort, sort.removeprefix("-"))
    return Filters(
        text=text_wanted() if args is None else given.get("q", "")[:200].strip(),
        status_id=_number(given.get("status")),
        stage=_choice(Stage, given.get("show")) or Stage.OPEN,
        assignee_id=_assignee(given.get("assignee")),
        company_id=_number(given.get("company")),
        window=_choice(Window, given.get("window")),
        is_waiting=given.get("waiting") == "1",
        sort=column or Sort.NUMBER,
        is_descending=sort.startswith("-") if column else True,
    )


def query_of(filters: Filters, **changed: Any) -> str:
    """What stands behind the ? of the address of these filters, some of them changed; "" for none."""
    me = access.signed_in().person_id
    is_mine = filters.assignee_id == me
    default = filters.sort is Sort.NUMBER and filters.is_descending
    values: dict[str, Any] = {
        "q": filters.text,
        "status": filters.status_id,
        "show": "" if filters.stage is Stage.OPEN else filters.stage.value,
        "assignee": ME if is_mine else NONE if filters.assignee_id == NOBODY else filters.assignee_id,
        "company": filters.company_id,
        "window": filters.window.value if filters.window else "",
        "waiting": "1" if filters.is_waiting else "",
        "sort": "" if default else f"{'-' if filters.is_descending else ''}{filters.sort.value}",
    } | changed
    return urlencode({name: value for name, value in values.items() if value})


def sorted_by(filters: Filters, column: Sort) -> str:
    """The query that sorts by this column; the other way round where the list is sorted by it already."""
    is_this = filters.sort is column
    is_down = not filters.is_descending if is_this else column is Sort.NUMBER
    return query_of(filters, sort=f"{'-' if is_down else ''}{column.value}")


def _choice(kind: type[Choice], text: str | None) -> Choice | None:
    return kind(text) if text in {each.value for each in kind} else None


def _number(text: str | None) -> int | None:
    """An id; None for what is none, or larger than any."""
    return int(text) if text and text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text) else None


def _assignee(text: str | None) -> int | None:
    if text == ME:
        return access.signed_in().person_id
    return NOBODY if text == NONE else _number(text)
