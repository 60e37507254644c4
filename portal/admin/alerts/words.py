"""How alerts are said to staff: what is watched, the condition as one sentence, and what has happened."""

from datetime import timedelta

from portal.alerts.models import Alert
from portal.alerts.rules import AlertArea, Happening, Lack, Level, Operator, Repeat, Rights
from portal.alerts.words import Thing, is_plain_script, line_of, name_of, normal_again, thing_of
from portal.filters import full_duration

AREAS: dict[AlertArea, str] = {
    AlertArea.BALANCE: "Balance",
    AlertArea.CREDIT: "Available credit",
    AlertArea.CPS: "Calls per second, in the busiest one",
    AlertArea.CHANNELS: "Channels in use",
    AlertArea.ASR: "ASR (answered calls)",
    AlertArea.NER: "NER (calls the network delivered)",
    AlertArea.ACD: "ACD (average length of a call)",
    AlertArea.PDD: "PDD (time until it rings)",
    AlertArea.CUSTOM: "A metric of its own",
    AlertArea.SCRIPT: "A script",
}
"""What may be watched, as the form and the filter offer it."""

OPERATORS: dict[Operator, str] = {
    Operator.LESS: "is below",
    Operator.AT_MOST: "is at most",
    Operator.EQUAL: "is exactly",
    Operator.AT_LEAST: "is at least",
    Operator.MORE: "is above",
    Operator.ALWAYS: "always: a report by the clock",
}

REPEATS: dict[Repeat, str] = {
    Repeat.NONE: "Once, when it begins",
    Repeat.HOURLY: "Every hour while it lasts",
    Repeat.FOUR_HOURLY: "Every four hours while it lasts",
    Repeat.DAILY: "Every day while it lasts",
}
_REPEATED = {Repeat.HOURLY: "every hour", Repeat.FOUR_HOURLY: "every four hours", Repeat.DAILY: "every day"}

LEVELS: dict[Level, str] = {Level.INFO: "To know", Level.WARNING: "Warning", Level.CRITICAL: "Critical"}

RIGHTS: dict[Rights, tuple[str, str]] = {
    Rights.SEE: ("See and test", "Its people see its alerts, how they stand and what happened, and test them."),
    Rights.THRESHOLDS: ("Change limits of money too", "And set at which balance or credit they are told."),
    Rights.ALL: ("Make their own too", "And add, change, switch and archive alerts of their own figures."),
}

LACKS: dict[Lack, str] = {
    Lack.NOTHING: "nothing happened that could be judged",
    Lack.FEW: "too few calls to judge by",
    Lack.STALE: "what should come in does not",
}

HAPPENED: dict[Happening, str] = {
    Happening.TRIGGERED: "Triggered",
    Happening.NORMAL: "Normal again",
    Happening.REPEATED: "Still triggered, said again",
    Happening.UNSTABLE: "Unstable: said once, then held",
    Happening.STEADY: "Steady again",
    Happening.NO_DATA: "No data",
    Happening.DATA_AGAIN: "Data again",
    Happening.MUTED: "Muted",
    Happening.UNMUTED: "Not muted any more",
    Happening.REPORTED: "Report sent",
    Happening.CLEARED: "Closed without a word",
}


def thing(alert: Alert) -> Thing:
    """What an alert watches, as words need it. Whose currency a balance is in is not known of all its companies."""
    return thing_of(alert, alert.metric, alert.service.name if alert.service is not None else "")


def condition(alert: Alert) -> str:
    """When it is bad, in short: what a list says of it."""
    watched = thing(alert)
    if alert.operator is Operator.ALWAYS:
        return f"{name_of(watched)}: a report {_REPEATED.get(alert.repeat, '')}".rstrip()
    if is_plain_script(alert):
        return alert.script
    said = f"{name_of(watched)} {line_of(alert, watched)}"
    return f"{said} over {_span(alert.window)}" if alert.window else said


def sentence(alert: Alert) -> str:
    """All of the condition: when it is bad, for how long, when it is well again, how often that is said."""
    if alert.operator is Operator.ALWAYS:
        return f"{name_of(thing(alert))} is reported {_REPEATED.get(alert.repeat, '')}{_at_hour(alert)}."
    parts = ["What its script looks for is the case" if is_plain_script(alert) else condition(alert)]
    if alert.area.is_counted and alert.least_count:
        parts.append(f"of {_calls(alert.least_count)} or more")
    if alert.must_last:
        parts.append(f"for {_span(alert.must_last)} without a break")
    well = normal_again(alert, thing(alert))
    return " ".join([f"{', '.join(parts)}.", f"Normal again {well}." if well else "", _again(alert)]).strip()


def _again(alert: Alert) -> str:
    if alert.repeat is Repeat.NONE:
        return ""
    return f"While it lasts that is said again {_REPEATED[alert.repeat]}{_at_hour(alert)}."


def _at_hour(alert: Alert) -> str:
    if alert.repeat is not Repeat.DAILY or alert.repeat_hour is None:
        return ""
    return f" at {alert.repeat_hour:02}:00 ({alert.zone or 'on the clock of each company'})"


def _calls(count: int) -> str:
    return f"{count:,} {'call' if count == 1 else 'calls'}"


def _span(seconds: int) -> str:
    return full_duration(timedelta(seconds=seconds))
