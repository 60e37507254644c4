"""What an alert may be asked to watch, and the sentence for each thing it may not. Pure.

Fields follow the area: what an area does not use is dropped (`tidied`), and never refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from portal.alerts.rules import (
    LEAST_COUNT,
    SCRIPT_LENGTH,
    TITLE_LENGTH,
    TRUNK_LENGTH,
    AlertArea,
    Condition,
    Level,
    Maker,
    Operator,
    Repeat,
    Rights,
)

LONGEST_WINDOW = 86_400
LONGEST_WAIT = 86_400
"""The longest sample period, and the longest time it must last or be well, in seconds."""

LARGEST_COUNT = 1_000_000
LARGEST = Decimal("999999999999")
RECIPIENTS_AT_MOST = 20
SCRIPT_DECIMALS = 6


def _(sentence: str) -> str:
    """Marks a sentence customers may read; who raises it has it translated."""
    return sentence


@dataclass(frozen=True)
class Refusal:
    """Why something cannot be asked for: the name of the field, the sentence, and the values that stand in it."""

    name: str
    sentence: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """An alert as somebody asks for it. Times are seconds. `recipients` are as they were typed."""

    title: str
    area: AlertArea
    operator: Operator
    company_id: int | None = None
    tag: str | None = None
    service_id: int | None = None
    trunk: str = ""
    metric_id: int | None = None
    threshold: Decimal | None = None
    reset: Decimal | None = None
    window: int = 0
    least_count: int = LEAST_COUNT
    must_last: int = 0
    must_be_well: int = 0
    repeat: Repeat = Repeat.NONE
    repeat_hour: int | None = None
    zone: str = ""
    template_id: int | None = None
    level: Level = Level.WARNING
    script: str = ""
    tells_normal: bool = True
    tells_contacts: bool = False
    opens_draft: bool = False
    recipients: tuple[str, ...] = ()


WATCHED = (
    "area",
    "service_id",
    "trunk",
    "metric_id",
    "operator",
    "threshold",
    "reset",
    "window",
    "least_count",
    "must_last",
    "must_be_well",
    "script",
)
"""What an alert is about: a change of it makes it normal without a word, and it is looked at anew."""


def tidied(wanted: Wanted) -> Wanted:
    """The same without what its area and operator do not use."""
    area = wanted.area
    is_report = wanted.operator is Operator.ALWAYS
    is_script = area is AlertArea.SCRIPT
    operator, threshold = wanted.operator, None if is_report else wanted.threshold
    if is_script and not is_report and threshold is None:
        # True counts as 1: an expression that says yes or no needs no threshold of its own.
        operator, threshold = Operator.MORE, Decimal(0)
    is_daily = wanted.repeat is Repeat.DAILY
    return replace(
        wanted,
        operator=operator,
        threshold=threshold,
        reset=None if is_report else wanted.reset,
        script=wanted.script.strip() if is_script else "",
        trunk=wanted.trunk.strip() if area.is_of_calls else "",
        metric_id=wanted.metric_id if area is AlertArea.CUSTOM else None,
        service_id=None if area is AlertArea.CUSTOM else wanted.service_id,
        window=wanted.window if area.is_windowed else 0,
        least_count=wanted.least_count if area.is_counted and not is_report else 0,
        must_last=0 if is_report else wanted.must_last,
        must_be_well=0 if is_report else wanted.must_be_well,
        repeat_hour=wanted.repeat_hour if is_daily else None,
        zone=wanted.zone if is_daily and wanted.repeat_hour is not None else "",
        opens_draft=wanted.opens_draft and not is_report,
    )


def refusals(wanted: Wanted, decimals: int) -> Iterator[Refusal]:
    """What is wrong with an alert that was `tidied`; its figure is shown with so many `decimals`."""
    if not 1 <= len(wanted.title) <= TITLE_LENGTH:
        yield Refusal("title", _("Give the alert a title of at most %(most)s characters."), {"most": TITLE_LENGTH})
    if (wanted.company_id is None) == (wanted.tag is None):
        yield Refusal("company", _("Choose either a company or a tag."))
    yield from _subject(wanted)
    yield from _line(wanted, decimals)
    yield from _times(wanted)
    if len(wanted.recipients) > RECIPIENTS_AT_MOST:
        yield Refusal("recipients", _("An alert tells at most %(most)s recipients."), {"most": RECIPIENTS_AT_MOST})
    if not (wanted.recipients or wanted.tells_contacts or wanted.opens_draft):
        yield Refusal("recipients", _("Name somebody who is told: an e-mail address or a telephone number."))


def _subject(wanted: Wanted) -> Iterator[Refusal]:
    if wanted.area is AlertArea.CUSTOM and wanted.metric_id is None:
        yield Refusal("metric", _("Choose the metric that is watched."))
    if wanted.area is AlertArea.CUSTOM and wanted.tag is not None:
        yield Refusal("area", _("A metric belongs to one company: for a tag choose another figure, or a script."))
    if wanted.area is AlertArea.SCRIPT and not wanted.script:
        yield Refusal("script", _("Write the expression that is watched."))
    if len(wanted.script) > SCRIPT_LENGTH:
        yield Refusal("script", _("An expression has at most %(most)s characters."), {"most": SCRIPT_LENGTH})
    if len(wanted.trunk) > TRUNK_LENGTH:
        yield Refusal("trunk", _("A trunk has at most %(most)s characters."), {"most": TRUNK_LENGTH})
    if wanted.trunk and wanted.service_id is not None:
        yield Refusal("trunk", _("Choose a service or a trunk, not both."))


# The line


def _line(wanted: Wanted, decimals: int) -> Iterator[Refusal]:
    if wanted.operator is Operator.ALWAYS:
        if wanted.repeat is Repeat.NONE:
            yield Refusal("repeat", _("What is always sent is a report: choose how often."))
        return
    if wanted.threshold is None:
        yield Refusal("threshold", _("Write the value from which on it is bad."))
        return
    named = {"threshold": wanted.threshold, "reset": wanted.reset}
    found = [refusal for name, value in named.items() if (refusal := _amount(wanted.area, name, value, decimals))]
    yield from found
    if not found:
        yield from _sides(wanted, wanted.threshold)


def _amount(area: AlertArea, name: str, value: Decimal | None, decimals: int) -> Refusal | None:
    if value is None:
        return None
    least, most = bounds(area)
    if not value.is_finite() or abs(value) > LARGEST:
        return Refusal(name, _("Write a number of at most twelve digits."))
    if most is not None and not 0 <= value <= most:
        return Refusal(name, _("This figure is a percentage: write a number from 0 to 100."))
    if least is not None and value < least:
        return Refusal(name, _("This figure is never below 0."))
    return _digits(name, value, decimals)


def _digits(name: str, value: Decimal, decimals: int) -> Refusal | None:
    if value == round(value, decimals):
        return None
    if decimals == 0:
        return Refusal(name, _("Write a whole number: this figure is shown without digits behind the point."))
    return Refusal(
        name,
        _("Write at most %(digits)s digits behind the point: more of this figure is not shown."),
        {"digits": decimals},
    )


def bounds(area: AlertArea) -> tuple[Decimal, Decimal] | tuple[Decimal, None] | tuple[None, None]:
    """The least and the most a figure can be."""
    if area in {AlertArea.ASR, AlertArea.NER}:
        return Decimal(0), Decimal(100)
    return (Decimal(0), None) if area.is_of_calls else (None, None)


def _sides(wanted: Wanted, threshold: Decimal) -> Iterator[Refusal]:
    """What can never be true, and a reset on the wrong side."""
    least, most = bounds(wanted.area)
    is_never = {
        Operator.LESS: least is not None and threshold <= least,
        Operator.MORE: most is not None and threshold >= most,
    }
    if is_never.get(wanted.operator, False):
        yield Refusal("threshold", _("This figure never gets past that value, so the alert would never be triggered."))
    is_always = {
        Operator.AT_MOST: most is not None and threshold >= most,
        Operator.AT_LEAST: least is not None and threshold <= least,
    }
    if is_always.get(wanted.operator, False):
        yield Refusal("threshold", _("This figure is always so, and the alert would never be normal again."))
    if wanted.reset is None:
        return
    if wanted.operator.is_low and wanted.reset < threshold:
        yield Refusal(
            "reset",
            _("Low values are bad here, so it is well again at the threshold or above it: write %(value)s or more."),
            {"value": f"{threshold:f}"},
        )
    if wanted.operator.is_high and wanted.reset > threshold:
        yield Refusal(
            "reset",
            _("High values are bad here, so it is well again at the threshold or below it: write %(value)s or less."),
            {"value": f"{threshold:f}"},
        )
    if wanted.operator is Operator.EQUAL:
        yield Refusal("reset", _("One that waits for an exact value is normal again at any other: leave this empty."))


# Times


def _times(wanted: Wanted) -> Iterator[Refusal]:
    if wanted.area.is_windowed and (not 60 <= wanted.window <= LONGEST_WINDOW or wanted.window % 60):
        yield Refusal("window", _("Choose a sample period of whole minutes, from 1 minute to 24 hours."))
    if not 0 <= wanted.least_count <= LARGEST_COUNT:
        yield Refusal("least_count", _("The least number of calls is between 0 and 1,000,000."))
    for name, seconds in (("must_last", wanted.must_last), ("must_be_well", wanted.must_be_well)):
        if not 0 <= seconds <= LONGEST_WAIT:
            yield Refusal(name, _("Choose a time of at most 24 hours."))
    if wanted.repeat_hour is not None and not 0 <= wanted.repeat_hour <= 23:
        yield Refusal("repeat_hour", _("Choose an hour from 0 to 23."))


def hint(wanted: Wanted) -> str | None:
    """What is allowed and rarely meant; None where there is nothing to say."""
    if wanted.operator is Operator.EQUAL and wanted.area not in {AlertArea.CPS, AlertArea.CHANNELS}:
        return _("Exact values are rarely met except by whole numbers: “at most” or “at least” is usually meant.")
    return None


def condition_of(wanted: Any, zone: str) -> Condition:
    """The condition of an alert, or of one that is asked for; `zone` is that of the company."""
    return Condition(
        operator=wanted.operator,
        threshold=wanted.threshold,
        reset=wanted.reset,
        least_count=wanted.least_count if wanted.area.is_counted else 0,
        must_last=timedelta(seconds=wanted.must_last),
        must_be_well=timedelta(seconds=wanted.must_be_well),
        repeat=wanted.repeat,
        repeat_hour=wanted.repeat_hour,
        zone=wanted.zone or zone or "UTC",
        tells_normal=wanted.tells_normal,
    )


# What customers may


def may_make(rights: Rights) -> bool:
    """Whether people of a company may make alerts of their own."""
    return rights is Rights.ALL


def may_edit(rights: Rights, *, made_by: Maker, is_shared: bool) -> bool:
    """Whether they may change, switch and archive this one: only what customers of their own company made."""
    return rights is Rights.ALL and made_by is Maker.CUSTOMER and not is_shared


def may_set_threshold(rights: Rights, area: AlertArea, *, is_shared: bool) -> bool:
    """Whether they may set when this one triggers: one about their money, and not one of several companies."""
    return rights is not Rights.SEE and area.is_money and not is_shared
