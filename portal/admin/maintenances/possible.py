"""What can be done to a maintenance, by where it stands, and how that is called there."""

from collections.abc import Mapping
from dataclasses import dataclass

from portal.incidents.rules import MaintenanceState


@dataclass(frozen=True)
class Step:
    """One thing to do: its name in the address, the word of its tab, the words of its button and of its text field,
    what it touches, the state it leads to (None: it stays), and what is said when it is done."""

    name: str
    word: str
    button: str
    touches: str
    sentence: str
    state: MaintenanceState | None = None
    label: str = "What customers should know"
    hint: str = "Left empty, only the change itself is told."
    asks_window: bool = False
    needs_text: bool = False


BEGIN = Step(
    "begin",
    "Begin now",
    "Begin it now",
    "From this moment it is under way: pages say so, and what depends on the components shows scheduled service.",
    "It is under way.",
    MaintenanceState.IN_PROGRESS,
)
VERIFY = Step(
    "verify",
    "Verifying",
    "Say that it is verified",
    "It stays under way. Pages say that the work is done and is being checked.",
    "It is being verified.",
    MaintenanceState.VERIFYING,
)
COMPLETE = Step(
    "complete",
    "Complete",
    "Complete it",
    "It ends now: what depends on the components is as it was before.",
    "It is completed.",
    MaintenanceState.COMPLETED,
    hint="What was done, and what is different now. Left empty, only the end is told.",
)
MOVE = Step(
    "move",
    "Move",
    "Move it",
    "Pages and calendars follow; reminders are reckoned anew.",
    "It is moved.",
    label="Why",
    hint="Why, and what changes for them. Left empty, only the new time is told.",
    asks_window=True,
)
EXTEND = Step(
    "extend",
    "Extend",
    "Move its end",
    "It goes on until then. Pages and calendars follow.",
    "Its end is moved.",
    label="Why",
    hint="Why, and what changes for them. Left empty, only the new end is told.",
    asks_window=True,
)
CANCEL = Step(
    "cancel",
    "Cancel",
    "Cancel it",
    "It does not happen, for good. Reminders that are due are not sent, and calendars take it out.",
    "It is cancelled.",
    MaintenanceState.CANCELLED,
    label="Why",
    hint="Why it does not happen, and whether there will be another. Left empty, only the fact is told.",
)
NOTE = Step(
    "note",
    "Add a note",
    "Add the note",
    "Nothing else changes.",
    "The note is added.",
    hint="Customers read it in the timeline. Markdown works.",
    needs_text=True,
)

STEPS: Mapping[MaintenanceState, tuple[Step, ...]] = {
    MaintenanceState.SCHEDULED: (MOVE, BEGIN, NOTE, CANCEL),
    MaintenanceState.IN_PROGRESS: (COMPLETE, VERIFY, EXTEND, NOTE, CANCEL),
    MaintenanceState.VERIFYING: (COMPLETE, EXTEND, NOTE, CANCEL),
    MaintenanceState.COMPLETED: (NOTE,),
    MaintenanceState.CANCELLED: (NOTE,),
}
"""The first is what one most likely comes for."""


def step_named(stand: MaintenanceState, name: str) -> Step:
    """The step of this name, else the first that is possible."""
    return next((step for step in STEPS[stand] if step.name == name), STEPS[stand][0])
