"""What a table of work statuses must be before it is saved, in sentences its author can act on."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from portal.accounts.rules import one_line, text_key
from portal.jobs.rules.colours import normal_colour
from portal.jobs.rules.kinds import ARCHIVABLE, PLURALS, ROLES, Role, Showing, WorkKind
from portal.jobs.rules.resolving import Unseen, resolve
from portal.jobs.rules.statuses import StatusRow, StatusTable

NAME_LENGTH = 60
"""Characters of a name: what still reads as a badge."""

STATUSES_AT_MOST = 200
"""Work statuses of a kind, archived ones included: more than any office can tell apart."""


@dataclass(frozen=True)
class Problem:
    """Why a table cannot be saved: a sentence, and the field of the status it belongs beside, if to one."""

    sentence: str
    status_id: int | None = None
    field: str | None = None


def normal(table: StatusTable) -> StatusTable:
    """The table as it is stored: names tidied, what leads to itself shown as itself, no name for customers empty.

    An empty portal name is filled with the internal name of this moment, and stays that when the other one changes.
    """
    return StatusTable.of(table.kind, (_normal(row) for row in table.rows))


def _normal(row: StatusRow) -> StatusRow:
    name = one_line(row.name)
    showing = row.showing
    if showing is Showing.MAPPED and row.mapped_to_id == row.id:
        showing = Showing.ITSELF
    return replace(
        row,
        name=name,
        portal_name=one_line(row.portal_name) or name,
        showing=showing,
        mapped_to_id=row.mapped_to_id if showing is Showing.MAPPED else None,
        color=normal_colour(row.color) or row.color,
        portal_color=(normal_colour(row.portal_color) or row.portal_color) if row.portal_color else None,
    )


def check(table: StatusTable) -> list[Problem]:
    """What stands against saving this table, a `normal` one, in the order of its rows; nothing if it may be saved."""
    problems = [problem for row in table.rows for problem in _own_problems(row)]
    problems += _name_problems(table)
    problems += _role_problems(table)
    problems += _mapping_problems(table)
    if not problems:
        problems += _hidden_request(table)
    if len(table.rows) > STATUSES_AT_MOST:
        problems.append(Problem(f"There is room for {STATUSES_AT_MOST} statuses, archived ones included."))
    places = {row.id: place for place, row in enumerate(table.rows)}
    return sorted(problems, key=lambda problem: places.get(problem.status_id or 0, len(places)))


def warnings(table: StatusTable) -> list[Problem]:
    """What may be saved and should be meant."""
    if table.kind is not WorkKind.QUOTE:
        return []
    sent = table.with_role(Role.SENT)
    if not isinstance(resolve(table, sent.id), Unseen):
        return []
    sentence = f"While “{sent.name}” is hidden, customers can neither accept nor decline a quote."
    return [Problem(sentence, sent.id, "showing")]


def _own_problems(row: StatusRow) -> Iterator[Problem]:
    if not row.name:
        yield Problem("Give the status a name.", row.id, "name")
    elif len(row.name) > NAME_LENGTH:
        yield Problem(f"A name has at most {NAME_LENGTH} characters.", row.id, "name")
    elif len(row.portal_name) > NAME_LENGTH:
        yield Problem(f"A name has at most {NAME_LENGTH} characters.", row.id, "portal_name")
    for field, colour in (("color", row.color), ("portal_color", row.portal_color)):
        if colour is not None and normal_colour(colour) is None:
            yield Problem("A colour is # and six digits from 0 to f, such as #2457d6.", row.id, field)


def _name_problems(table: StatusTable) -> Iterator[Problem]:
    """Names are unique among those in use, however they are written."""
    met: dict[str, str] = {}
    for row in table.live:
        key = text_key(row.name)
        if key and key in met:
            sentence = f"There is a status called “{met[key]}” already. Give this one another name."
            yield Problem(sentence, row.id, "name")
        met.setdefault(key, row.name)


def _role_problems(table: StatusTable) -> Iterator[Problem]:
    """Every role of the kind is there once, and in use if anything relies on it."""
    counted = Counter(row.role for row in table.rows if row.role is not None)
    if counted != Counter(ROLES[table.kind]):
        yield Problem("This list of statuses is not complete. Reload the page.")
    for row in table.rows:
        if row.is_archived and row.role is not None and row.role not in ARCHIVABLE:
            yield Problem(f"“{row.name}” is needed and cannot be archived.", row.id, "is_archived")


def _mapping_problems(table: StatusTable) -> Iterator[Problem]:
    told: set[int] = set()
    for row in table.rows:
        if row.showing is not Showing.MAPPED:
            continue
        target = table.by_id.get(row.mapped_to_id or 0)
        if target is None:
            yield Problem("Say what customers see: this status, another one, or nothing.", row.id, "showing")
        elif target.is_archived and not row.is_archived:
            sentence = f"“{target.name}” is archived. Choose a status that is in use."
            yield Problem(sentence, row.id, "showing")
        elif row.id not in told and (loop := _loop_from(table, row)):
            told |= {each.id for each in loop}
            yield Problem(_spelled(loop), row.id, "showing")


def _loop_from(table: StatusTable, start: StatusRow) -> list[StatusRow]:
    """The statuses of the loop this one is part of, itself first; none if it only leads into one or into none."""
    path = [start]
    while path[-1].showing is Showing.MAPPED:
        following = table.by_id.get(path[-1].mapped_to_id or 0)
        if following is None or following in path[1:]:
            return []
        if following == start:
            return path
        path.append(following)
    return []


def _spelled(loop: list[StatusRow]) -> str:
    """“A” is shown as “B”, which is shown as “A”: …"""
    chain = ", which is shown as ".join(f"“{row.name}”" for row in [*loop[1:], loop[0]])
    return f"“{loop[0].name}” is shown as {chain}: that never ends. Show one of them as itself."


def _hidden_request(table: StatusTable) -> Iterator[Problem]:
    """What customers have just asked for must be there when they look."""
    requested = table.with_role(Role.REQUESTED)
    if not isinstance(resolve(table, requested.id), Unseen):
        return
    plural = PLURALS[table.kind]
    if requested.showing is Showing.MAPPED:
        shown_as = table.by_id[requested.mapped_to_id or 0].name
        sentence = (
            f"“{requested.name}” is shown as “{shown_as}”, which customers do not see. It is where {plural} booked in "
            "the portal land, so show it as something they do see."
        )
    else:
        sentence = (
            f"“{requested.name}” cannot be hidden: it is where {plural} booked in the portal land. "
            "Give it another name, or show it as another status."
        )
    yield Problem(sentence, requested.id, "showing")
