"""The words of alerts: what is watched, when it is bad, how it stands, and what has happened. Pure.

Source: work-alerts-tickets, sections 2 and 5.2.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

TITLE_LENGTH = 200
TAG_LENGTH = 40
TRUNK_LENGTH = 100
SCRIPT_LENGTH = 500
ADDRESS_LENGTH = 254
TEMPLATE_NAME_LENGTH = 100
SUBJECT_LENGTH = 200
SMS_LENGTH = 480

LEAST_COUNT = 20
"""Calls behind a figure below which it is not judged, unless an alert says otherwise: one failed call of one is 0 %."""


class AlertArea(StrEnum):
    """What is watched: a measure, by the value it has in `usage.rules.Measure`, or what a script makes of several."""

    BALANCE = "balance"
    CREDIT = "credit"
    CPS = "cps"
    CHANNELS = "channels"
    ASR = "asr"
    NER = "ner"
    ACD = "acd"
    PDD = "pdd"
    CUSTOM = "custom"
    SCRIPT = "script"

    @property
    def is_windowed(self) -> bool:
        """Whether it is of a stretch of time, and so has a sample period."""
        return self in _WINDOWED

    @property
    def is_of_calls(self) -> bool:
        """Whether it is about calls, and so concerned by what carries them."""
        return self in _OF_CALLS

    @property
    def is_counted(self) -> bool:
        """Whether it is made of a number of calls, and means nothing where they are few."""
        return self in _COUNTED

    @property
    def is_money(self) -> bool:
        return self in {AlertArea.BALANCE, AlertArea.CREDIT}


_COUNTED = frozenset({AlertArea.ASR, AlertArea.NER, AlertArea.ACD, AlertArea.PDD})
_WINDOWED = _COUNTED | {AlertArea.CPS}
_OF_CALLS = _WINDOWED | {AlertArea.CHANNELS}


class Operator(StrEnum):
    """How a value is held against the threshold. ALWAYS is no alert but a report by the clock: it needs a repeat."""

    LESS = "<"
    AT_MOST = "<="
    EQUAL = "="
    AT_LEAST = ">="
    MORE = ">"
    ALWAYS = "always"

    @property
    def is_low(self) -> bool:
        """Whether too little is bad."""
        return self in {Operator.LESS, Operator.AT_MOST}

    @property
    def is_high(self) -> bool:
        """Whether too much is bad."""
        return self in {Operator.MORE, Operator.AT_LEAST}

    def holds(self, value: Decimal, threshold: Decimal) -> bool:
        """Whether the value, rounded as it is shown, is bad: equal is what looks equal on a screen."""
        return {
            Operator.LESS: value < threshold,
            Operator.AT_MOST: value <= threshold,
            Operator.EQUAL: value == threshold,
            Operator.AT_LEAST: value >= threshold,
            Operator.MORE: value > threshold,
            Operator.ALWAYS: True,
        }[self]


class AlertState(StrEnum):
    """How an alert stands for one company. PENDING: bad, but not for as long as it must last."""

    NORMAL = "normal"
    PENDING = "pending"
    TRIGGERED = "triggered"
    NO_DATA = "no_data"


class Lack(StrEnum):
    """Why there is nothing to judge by. STALE: what should come in does not, which is for staff to mend."""

    NOTHING = "nothing"
    FEW = "few"
    STALE = "stale"


class Told(StrEnum):
    """What recipients were told last, and so believe."""

    NORMAL = "normal"
    TRIGGERED = "triggered"
    UNSTABLE = "unstable"


class Repeat(StrEnum):
    """How often it is said again while it is bad."""

    NONE = "none"
    HOURLY = "hourly"
    FOUR_HOURLY = "four_hourly"
    DAILY = "daily"

    @property
    def every(self) -> timedelta | None:
        """The time between two; None where it is said once."""
        return {
            "none": None,
            "hourly": timedelta(hours=1),
            "four_hourly": timedelta(hours=4),
            "daily": timedelta(days=1),
        }[self.value]


class Level(StrEnum):
    """How much it matters, as whoever made the alert judges."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class RecipientKind(StrEnum):
    """What an address of a recipient is. A phone is in E.164: a plus and up to fifteen digits."""

    MAIL = "mail"
    PHONE = "phone"


class Maker(StrEnum):
    """On which side an alert was made."""

    STAFF = "staff"
    CUSTOMER = "customer"


class Rights(StrEnum):
    """What the people of a company may do with its alerts: see and test them; change the thresholds of those about
    money too; or all."""

    SEE = "see"
    THRESHOLDS = "thresholds"
    ALL = "all"


class Happening(StrEnum):
    """What happened to an alert of one company, and what may be said of it.

    STEADY: it has not changed for long enough after it was unstable. REPORTED: the clock's report of one that is
    always sent. CLEARED: it was edited, switched off or its company archived, and is normal without a word.
    """

    TRIGGERED = "triggered"
    NORMAL = "normal"
    REPEATED = "repeated"
    UNSTABLE = "unstable"
    STEADY = "steady"
    NO_DATA = "no_data"
    DATA_AGAIN = "data_again"
    MUTED = "muted"
    UNMUTED = "unmuted"
    REPORTED = "reported"
    CLEARED = "cleared"


class Happened(NamedTuple):
    """What goes into the log, and as what recipients are told of it; None where they are told nothing.

    Of NO_DATA staff are told, and customers are not.
    """

    what: Happening
    says: Happening | None = None


class Measured(Protocol):
    """What `step` reads: see `usage.readings.Reading`."""

    @property
    def value(self) -> Decimal | None: ...
    @property
    def count(self) -> int | None: ...
    @property
    def at(self) -> datetime: ...
    @property
    def is_stale(self) -> bool: ...
    @property
    def next_at(self) -> datetime | None: ...


@dataclass(frozen=True)
class Condition:
    """When an alert is bad, when it is well again, and how often that is said.

    `threshold` is None for what is always reported. `least_count` is 0 where calls are not counted. `repeat_hour` is
    the hour of the day, on a clock in `zone`, at which a daily one is said; None where it is said a day after the last.
    """

    operator: Operator
    threshold: Decimal | None = None
    reset: Decimal | None = None
    least_count: int = 0
    must_last: timedelta = timedelta()
    must_be_well: timedelta = timedelta()
    repeat: Repeat = Repeat.NONE
    repeat_hour: int | None = None
    zone: str = "UTC"
    tells_normal: bool = True


@dataclass(frozen=True)
class Standing:
    """How one alert stands for one company: all of it, so that nothing is lost when a process ends.

    `kept` is the state behind NO_DATA, to go on from when there is data; `lack` is why there is none. `pending_since`
    is when it began to be bad, `well_since` when a triggered one began to be well. `told` is what recipients were told
    last, written at `told_at`; `sent_at` is when one of them last got it, `is_on_its_way` while none has and some may,
    `failures` how many in a row reached nobody. `changes` are the last moments at which it was triggered or normal
    again. Until `held_until` nothing is said of one that is unstable.
    """

    state: AlertState
    since: datetime
    kept: AlertState | None = None
    lack: Lack | None = None
    pending_since: datetime | None = None
    well_since: datetime | None = None
    triggered_at: datetime | None = None
    told: Told = Told.NORMAL
    told_at: datetime | None = None
    sent_at: datetime | None = None
    is_on_its_way: bool = False
    failures: int = 0
    changes: tuple[datetime, ...] = ()
    held_until: datetime | None = None
    muted_since: datetime | None = None

    @property
    def beneath(self) -> AlertState:
        """The state it has, or would go on from if there were data."""
        return self.kept or self.state

    @property
    def is_triggered(self) -> bool:
        """Whether it is bad as far as anybody knows: no data makes nothing well."""
        return self.beneath is AlertState.TRIGGERED


class Step(NamedTuple):
    """Where one look leads: how it stands, what has happened, and when to look again although nothing comes in."""

    standing: Standing
    happenings: tuple[Happened, ...]
    due_at: datetime | None
