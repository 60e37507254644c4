"""How alerts are said to the people of a company: the condition in a sentence, and what has happened."""

from datetime import timedelta

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.alerts.models import Alert
from portal.alerts.rules import AlertArea, Happening, Level, Operator, Repeat
from portal.alerts.words import Thing, is_plain_script, line_of, name_of, normal_again
from portal.filters import full_duration

WATCHABLE = tuple(area for area in AlertArea if area not in {AlertArea.CUSTOM, AlertArea.SCRIPT})
"""Figures every company has; what is its own is offered under its name."""


def areas() -> list[tuple[str, str]]:
    """What customers may have watched, as the form offers it."""
    return [(each.value, name_of(Thing(each))) for each in WATCHABLE]


def operators() -> list[tuple[str, str]]:
    return [
        (Operator.LESS.value, _("is below")),
        (Operator.AT_MOST.value, _("is at most")),
        (Operator.EQUAL.value, _("is exactly")),
        (Operator.AT_LEAST.value, _("is at least")),
        (Operator.MORE.value, _("is above")),
        (Operator.ALWAYS.value, _("always: a report by the clock")),
    ]


def repeats() -> list[tuple[str, str]]:
    return [
        (Repeat.NONE.value, _("Once, when it begins")),
        (Repeat.HOURLY.value, _("Every hour while it lasts")),
        (Repeat.FOUR_HOURLY.value, _("Every four hours while it lasts")),
        (Repeat.DAILY.value, _("Every day while it lasts")),
    ]


def levels() -> list[tuple[str, str]]:
    return [
        (Level.INFO.value, _("To know")),
        (Level.WARNING.value, _("Warning")),
        (Level.CRITICAL.value, _("Critical")),
    ]


def happened(what: Happening) -> str:
    """What stands in the log of an alert, and at a dot of its chart."""
    words = {
        Happening.TRIGGERED: _("Triggered"),
        Happening.NORMAL: _("Normal again"),
        Happening.REPEATED: _("Still triggered, said again"),
        Happening.UNSTABLE: _("Crosses its line again and again"),
        Happening.STEADY: _("Keeps to one side again"),
        Happening.NO_DATA: _("No data"),
        Happening.DATA_AGAIN: _("Data again"),
        Happening.REPORTED: _("Report sent"),
        Happening.CLEARED: _("Begun anew, because it was changed"),
        Happening.MUTED: _("Muted"),
        Happening.UNMUTED: _("Not muted any more"),
    }
    return str(words[what])


def lack(alert: Alert) -> str:
    """Why there is nothing to judge by, as far as a customer need know."""
    return str(_("too few calls, or none") if alert.area.is_counted else _("nothing comes in"))


def in_short(alert: Alert, thing: Thing) -> str:
    """When it is bad, as a list says it."""
    if alert.operator is Operator.ALWAYS:
        return _reported(alert, thing)
    said = f"{name_of(thing)}: {line_of(alert, thing)}"
    return str(_("%(line)s, over %(span)s", line=said, span=_span(alert.window))) if alert.window else said


def sentence(alert: Alert, thing: Thing) -> str:
    """When it is triggered, when it is normal again, and how often that is said."""
    if alert.operator is Operator.ALWAYS:
        return _reported(alert, thing)
    parts = [_bad(alert, thing)]
    if alert.area.is_counted and alert.least_count:
        parts.append(
            ngettext(
                "It is judged as soon as there is %(num)d call.",
                "It is judged as soon as there are %(num)d calls.",
                alert.least_count,
            )
        )
    well = normal_again(alert, thing)
    if well:
        parts.append(_("It is normal again %(well)s.", well=well))
    if alert.repeat is not Repeat.NONE:
        parts.append(_AGAIN[alert.repeat]())
    return " ".join(str(each) for each in parts)


_AGAIN = {
    Repeat.HOURLY: lambda: _("While it lasts it is said again every hour."),
    Repeat.FOUR_HOURLY: lambda: _("While it lasts it is said again every four hours."),
    Repeat.DAILY: lambda: _("While it lasts it is said again every day."),
}


def _bad(alert: Alert, thing: Thing) -> str:
    if is_plain_script(alert):
        return str(_("It is triggered while what its rule looks for is the case."))
    values = {"thing": name_of(thing), "line": line_of(alert, thing)}
    values |= {"span": _span(alert.window), "lasting": _span(alert.must_last)}
    if alert.window and alert.must_last:
        said = _(
            "It is triggered when %(thing)s, over %(span)s, is %(line)s for %(lasting)s without a break.", **values
        )
    elif alert.window:
        said = _("It is triggered when %(thing)s, over %(span)s, is %(line)s.", **values)
    elif alert.must_last:
        said = _("It is triggered when %(thing)s is %(line)s for %(lasting)s without a break.", **values)
    else:
        said = _("It is triggered when %(thing)s is %(line)s.", **values)
    return str(said)


def _reported(alert: Alert, thing: Thing) -> str:
    name = name_of(thing)
    if alert.repeat is Repeat.HOURLY:
        return str(_("%(thing)s: reported every hour.", thing=name))
    if alert.repeat is Repeat.FOUR_HOURLY:
        return str(_("%(thing)s: reported every four hours.", thing=name))
    if alert.repeat_hour is not None:
        return str(_("%(thing)s: reported every day at %(hour)s.", thing=name, hour=f"{alert.repeat_hour:02}:00"))
    return str(_("%(thing)s: reported every day.", thing=name))


def _span(seconds: int) -> str:
    return full_duration(timedelta(seconds=seconds))
