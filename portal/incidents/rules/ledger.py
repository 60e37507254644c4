"""How far a company was reached with an incident, pure: the words of the reach ledger, the worst first."""

from dataclasses import dataclass
from enum import StrEnum


class Reached(StrEnum):
    """How a company stands in the ledger, the worst first; `rank` orders them.

    NOBODY: it is affected, and nothing reached anybody there · WAITING: nothing yet, and something is under way ·
    PARTLY: somebody was reached and somebody was not · TOLD: all that was sent has gone out · OPENED: somebody there
    has had it on a page of the portal · ACKNOWLEDGED: the company says that it knows · ELSEWHERE: it is not affected,
    and was not told.
    """

    NOBODY = "nobody"
    WAITING = "waiting"
    PARTLY = "partly"
    TOLD = "told"
    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    ELSEWHERE = "elsewhere"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {each: number for number, each in enumerate(Reached)}


@dataclass(frozen=True)
class Told:
    """What became of what was sent to one company, in people: each address counts once for each."""

    sent: int
    waiting: int
    missed: int
    seen: int
    is_acknowledged: bool
    is_affected: bool


def reached(told: Told) -> Reached:
    """How a company stands. Whoever has seen it on the portal was reached, whatever became of the mail."""
    if told.is_acknowledged:
        return Reached.ACKNOWLEDGED
    if told.seen:
        return Reached.OPENED
    if told.sent:
        return Reached.PARTLY if told.missed else Reached.TOLD
    if told.waiting:
        return Reached.WAITING
    return Reached.NOBODY if told.is_affected else Reached.ELSEWHERE
