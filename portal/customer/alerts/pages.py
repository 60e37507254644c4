"""What the screens of alerts show: lines of the list, one alert, and who is told of it, as far as its company may see.

Tags, drafts, scripts, templates, notes of staff and whoever is not of the company stand nowhere in here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import abort, request

from portal import access
from portal.alerts import pictures, queries
from portal.alerts.facts import things
from portal.alerts.letters import report_path
from portal.alerts.models import Alert, AlertWatch
from portal.alerts.queries import OwnAlert, muting
from portal.alerts.recipients import shown_to
from portal.alerts.rules import AlertArea, AlertState, Maker, Operator, Rights
from portal.alerts.rules.checks import may_edit, may_set_threshold
from portal.alerts.words import Thing, is_plain_script, name_of
from portal.customer.alerts.words import happened, in_short, lack, sentence
from portal.domains.rules import Area
from portal.language import reader_zone
from portal.usage.rules import Span

PER_PAGE = 50

WORST_FIRST = {AlertState.TRIGGERED: 0, AlertState.PENDING: 1, AlertState.NO_DATA: 2, AlertState.NORMAL: 3}


@dataclass(frozen=True)
class Line:
    """An alert as its company sees it now."""

    own: OwnAlert
    thing: Thing
    told: tuple[str, ...]
    has_others: bool
    is_muted: bool

    @property
    def alert(self) -> Alert:
        return self.own.alert

    @property
    def watch(self) -> AlertWatch | None:
        return self.own.watch if self.alert.is_on else None

    @property
    def state(self) -> str:
        return self.watch.state if self.watch is not None else "off"

    @property
    def is_bad(self) -> bool:
        """Whether it is triggered as far as anybody knows: no data makes nothing well."""
        return is_bad(self.own)

    @property
    def value(self) -> str:
        """The last figure in words; empty where there is none, and of a rule that only says yes or no."""
        if self.watch is None or self.watch.value is None or is_plain_script(self.alert):
            return ""
        return self.thing.written(self.watch.value)

    @property
    def condition(self) -> str:
        return in_short(self.alert, self.thing)

    @property
    def sentence(self) -> str:
        return sentence(self.alert, self.thing)

    @property
    def lack(self) -> str:
        return lack(self.alert)

    @property
    def watched(self) -> str:
        return name_of(self.thing)


@dataclass(frozen=True)
class Page:
    """One page of the list, with how many there are."""

    items: Sequence[Line]
    page: int
    pages: int
    total: int


def is_bad(own: OwnAlert) -> bool:
    watch = own.watch
    return watch is not None and own.alert.is_on and AlertState.TRIGGERED in {watch.state, watch.kept}


def state_of(own: OwnAlert) -> str:
    """How it counts among the others: what was triggered before its figures stayed away still is."""
    if own.watch is None or not own.alert.is_on:
        return "off"
    return AlertState.TRIGGERED if is_bad(own) else own.watch.state


def in_order(found: Collection[OwnAlert]) -> list[OwnAlert]:
    """What is triggered first, and what is off last."""
    return sorted(
        found, key=lambda own: WORST_FIRST.get(AlertState(state), 4) if (state := state_of(own)) != "off" else 4
    )


def lines(found: Sequence[OwnAlert], company_id: int, now: datetime) -> list[Line]:
    """These alerts with all that is shown of them. At most eight queries, however many they are."""
    alerts = [each.alert for each in found]
    known = things(alerts, company_id)
    theirs = [each.id for each in alerts if each.made_by is Maker.CUSTOMER]
    names = shown_to(company_id, [each for alert in alerts for each in alert.recipients], own=theirs)
    is_any_muted = any(each.watch is not None and each.watch.muted_since is not None for each in found)
    named = muting.named_to(company_id, now) if is_any_muted else frozenset()
    return [_line(each, known[each.alert.id], names, named) for each in found]


def _line(own: OwnAlert, thing: Thing, names: Mapping[int, str], named: frozenset[int]) -> Line:
    alert = own.alert
    told = [names[each.id] for each in alert.recipients if each.id in names]
    return Line(own, thing, tuple(told), len(told) < len(alert.recipients), _is_muted(own, named))


def _is_muted(own: OwnAlert, named: frozenset[int]) -> bool:
    """Whether it is silent for something that this company sees for itself."""
    if own.watch is None or own.watch.muted_since is None or not own.alert.is_on:
        return False
    metric = own.alert.metric
    services = muting.services_of(own.alert, {metric.id: metric.service_id} if metric is not None else {})
    return bool(named if services is None else named & services)


def own_alert(public_id: str) -> OwnAlert:
    """The alert of this id; 404 for what is missing, another company's, or archived."""
    return queries.alert_of(access.signed_in().company_id or 0, public_id) or abort(404)


def may_change(alert: Alert, rights: Rights) -> bool:
    """Whether they may change all of it that customers can: what a script says is not theirs to write."""
    is_of_theirs = may_edit(rights, made_by=alert.made_by, is_shared=alert.tag is not None)
    return is_of_theirs and alert.area is not AlertArea.SCRIPT


def may_move(alert: Alert, rights: Rights) -> bool:
    """Whether they may say at which amount of money it is triggered."""
    is_theirs = may_set_threshold(rights, alert.area, is_shared=alert.tag is not None)
    return is_theirs and alert.operator is not Operator.ALWAYS


def view(own: OwnAlert, now: datetime) -> dict[str, Any]:
    """What the page of one alert shows. A fixed number of queries."""
    company_id, alert = access.signed_in().company_id or 0, own.alert
    [line] = lines([own], company_id, now)
    rights = queries.rights_of(company_id)
    at = f"/alerts/{alert.public_id}"
    span = pictures.span_called(request.args.get("span", Span.DAY.value)) or abort(404)
    drawn = None
    if line.watch is not None:
        drawn = pictures.picture(
            alert,
            line.watch,
            line.thing,
            span,
            now=now,
            zone=reader_zone(),
            happened=happened,
            address=lambda each: at if each is Span.DAY else f"{at}?span={each.value}",
        )
    can_report = line.watch is not None and Area.MESSAGES in access.areas()
    return {
        "line": line,
        "at": at,
        "drawn": drawn,
        "events": [(each, happened(each.kind)) for each in queries.told_to(company_id, alert.id)],
        "may_change": may_change(alert, rights),
        "may_move": may_move(alert, rights),
        "report": report_path(line.watch.id, "now") if can_report and line.watch is not None else "",
        "sees_status": Area.STATUS in access.areas(),
    }
