"""What is watched, its line, and what happened, in plain words: the same in mails, texts, forms and on screens.

Everything here speaks the language that is forced around it; amounts are written as it writes them.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.alerts.models import Alert
from portal.alerts.rules import AlertArea, Happening, Operator
from portal.filters import amount, full_duration
from portal.usage.models import Metric


@dataclass(frozen=True)
class Thing:
    """What an alert watches, as far as words need it: its area, of which service or trunk, and how amounts are written.

    `name` is what a figure that is somebody's own is called, empty for the others.
    """

    area: AlertArea
    name: str = ""
    place: str = ""
    unit: str = ""
    decimals: int = 0

    def written(self, value: Decimal | None) -> str:
        """An amount with its unit; what there is none of has words too."""
        return amount(value, self.decimals, self.unit) if value is not None else str(_("no figure"))


_UNITS = {AlertArea.ASR: ("%", 2), AlertArea.NER: ("%", 2), AlertArea.ACD: ("s", 1), AlertArea.PDD: ("ms", 0)}


def thing_of(alert: Alert, metric: Metric | None, service: str = "") -> Thing:
    """What an alert watches. `metric` is what delivers the figure, if one does; `service` is the service's name."""
    unit, decimals = _UNITS.get(alert.area, ("", 2 if alert.area.is_money else 0))
    if metric is not None and alert.area not in _UNITS:
        unit, decimals = metric.unit, metric.decimals
    name = metric.name if metric is not None and alert.area is AlertArea.CUSTOM else ""
    if alert.area is AlertArea.SCRIPT:
        decimals = 2
    return Thing(alert.area, name, alert.trunk or service, unit, decimals)


def name_of(thing: Thing) -> str:
    """What is watched: "ASR (answered calls), trunk North"."""
    names = {
        AlertArea.BALANCE: _("Balance"),
        AlertArea.CREDIT: _("Available credit"),
        AlertArea.CPS: _("Calls per second"),
        AlertArea.CHANNELS: _("Channels in use"),
        AlertArea.ASR: _("ASR (answered calls)"),
        AlertArea.NER: _("NER (calls the network delivered)"),
        AlertArea.ACD: _("ACD (average length of a call)"),
        AlertArea.PDD: _("PDD (time until it rings)"),
        AlertArea.CUSTOM: thing.name,
        AlertArea.SCRIPT: _("A rule of its own"),
    }
    said = str(names[thing.area])
    return f"{said}, {thing.place}" if thing.place else said


def short_name_of(thing: Thing) -> str:
    """The same in one word or two, for a telephone."""
    if thing.area in {AlertArea.ASR, AlertArea.NER, AlertArea.ACD, AlertArea.PDD, AlertArea.CPS}:
        return thing.area.value.upper()
    return name_of(Thing(thing.area, thing.name))


def is_plain_script(alert: Alert) -> bool:
    """Whether a script says no more than that what it looks for is the case, so that no amount means anything."""
    return alert.area is AlertArea.SCRIPT and alert.operator is Operator.MORE and alert.threshold == 0


def line_of(alert: Alert, thing: Thing) -> str:
    """When it is bad: "below 30.00 %"; empty for a report, which has no line."""
    if is_plain_script(alert):
        return str(_("what its rule looks for is the case"))
    return _compared(alert.operator, alert.threshold, thing)


def _compared(operator: Operator, value: Decimal | None, thing: Thing) -> str:
    if value is None or operator is Operator.ALWAYS:
        return ""
    said = thing.written(value)
    return str(
        {
            Operator.LESS: _("below %(amount)s", amount=said),
            Operator.AT_MOST: _("%(amount)s or less", amount=said),
            Operator.EQUAL: _("exactly %(amount)s", amount=said),
            Operator.AT_LEAST: _("%(amount)s or more", amount=said),
            Operator.MORE: _("above %(amount)s", amount=said),
        }[operator]
    )


_WELL = {
    Operator.LESS: Operator.AT_LEAST,
    Operator.AT_MOST: Operator.MORE,
    Operator.AT_LEAST: Operator.LESS,
    Operator.MORE: Operator.AT_MOST,
}


def normal_again(alert: Alert, thing: Thing) -> str:
    """What "normal again" means for it: a measured good value, at or beyond the reset value if it has one."""
    if alert.operator is Operator.ALWAYS:
        return ""
    if is_plain_script(alert):
        well = str(_("when its rule finds nothing any more"))
    elif alert.operator is Operator.EQUAL:
        well = str(_("when it is anything but %(amount)s", amount=thing.written(alert.threshold)))
    else:
        has_reset = alert.reset is not None and alert.reset != alert.threshold
        inclusive = Operator.AT_LEAST if alert.operator.is_low else Operator.AT_MOST
        operator = inclusive if has_reset else _WELL[alert.operator]
        value = alert.reset if has_reset else alert.threshold
        well = str(_("when it is %(line)s", line=_compared(operator, value, thing)))
    if alert.must_be_well:
        return str(
            _(
                "%(well)s, and stays so for %(span)s",
                well=well,
                span=full_duration(timedelta(seconds=alert.must_be_well)),
            )
        )
    return well


def calls_behind(count: int | None, window: int) -> str:
    """How many calls a figure is made of: "134 calls in 30 minutes"; empty where it is of none."""
    if count is None:
        return ""
    calls = str(ngettext("%(num)d call", "%(num)d calls", count))
    if not window:
        return calls
    return str(_("%(calls)s in %(span)s", calls=calls, span=full_duration(timedelta(seconds=window))))


def state_word(says: Happening) -> str:
    """One word on what is told, as a subject begins."""
    return str(
        {
            Happening.TRIGGERED: _("Alert"),
            Happening.REPEATED: _("Still"),
            Happening.NORMAL: _("Normal again"),
            Happening.UNSTABLE: _("Unstable"),
            Happening.REPORTED: _("Report"),
        }[says]
    )


def what_happened(says: Happening, alert: Alert, thing: Thing, value: Decimal | None) -> str:
    """One sentence on what happened."""
    if is_plain_script(alert) and says is not Happening.UNSTABLE:
        return _of_script(says)
    name, shown, line = name_of(thing), thing.written(value), line_of(alert, thing)
    if says is Happening.REPEATED and value is None:
        return str(_("%(thing)s: the last figure was %(line)s, and none has come since.", thing=name, line=line))
    return str(
        {
            Happening.TRIGGERED: _("%(thing)s: %(amount)s, and so %(line)s.", thing=name, amount=shown, line=line),
            Happening.REPEATED: _("%(thing)s: still %(line)s, now %(amount)s.", thing=name, amount=shown, line=line),
            Happening.NORMAL: _("%(thing)s: normal again, now %(amount)s.", thing=name, amount=shown),
            Happening.UNSTABLE: _(
                "%(thing)s crosses its line again and again, now %(amount)s. We write again once it has kept to one"
                " side for an hour.",
                thing=name,
                amount=shown,
            ),
            Happening.REPORTED: _("%(thing)s: %(amount)s.", thing=name, amount=shown),
        }[says]
    )


def _of_script(says: Happening) -> str:
    return str(
        {
            Happening.TRIGGERED: _("What this alert looks for is the case."),
            Happening.REPEATED: _("What this alert looks for is still the case."),
            Happening.NORMAL: _("What this alert looks for is over."),
            Happening.REPORTED: _("This is the report of what this alert looks at."),
        }[says]
    )
