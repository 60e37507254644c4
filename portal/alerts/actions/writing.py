"""Making alerts, changing them, switching and archiving them, and what the people of a company may do with its own.

A sentence of a refusal is in the language of whoever acts, because customers act here too.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal import events
from portal.accounts.models import Company
from portal.accounts.rules import one_line, text_key
from portal.alerts import scripts
from portal.alerts.actions.evaluating import zones_of
from portal.alerts.actions.following import sweep
from portal.alerts.actions.standings import change, clear, locked
from portal.alerts.models import Alert, AlertRecipient, AlertRights, AlertTemplate, AlertWatch
from portal.alerts.queries import count_of, is_title_taken, rights_of
from portal.alerts.recipients import named_in
from portal.alerts.rules import AlertArea, Maker, Rights
from portal.alerts.rules.checks import (
    SCRIPT_DECIMALS,
    WATCHED,
    Wanted,
    may_edit,
    may_make,
    may_set_threshold,
    refusals,
    tidied,
)
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import Holding, Service
from portal.catalogue.queries import is_valid
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.rules import public_id_for
from portal.language import TIME_ZONES
from portal.searching import key_of
from portal.usage.models import Metric
from portal.usage.rules import Measure

ALERTS_AT_MOST = 200
"""Alerts of one company, and of one tag; more are a sign that something else is meant."""

ZONES = frozenset(name for name, _label in TIME_ZONES)

CLOCKED = ("repeat", "repeat_hour", "zone", "tells_normal")
"""What an alert says when: a change of it leaves the state, and is looked at at once."""

PLAIN = tuple(each.name for each in fields(Wanted) if each.name not in {"company_id", "tag", "recipients", "title"})
"""The columns that are as they were asked for."""


def add_alert(wanted: Wanted, *, made_by: Maker = Maker.STAFF, by: Actor, now: datetime, idempotency_key: str) -> Alert:
    """Make an alert; it is looked at at once, and is triggered where it is bad already.

    The same key again returns what it made the first time. Customers may make those of their company's own figures.
    """
    public_id = public_id_for(f"alert:{idempotency_key}")
    known = db.session.scalars(select(Alert).where(Alert.public_id == public_id)).one_or_none()
    if known is not None:
        return known
    if made_by is Maker.CUSTOMER:
        _check_customer(wanted, may_make(rights_of(wanted.company_id or 0)))
    checked = _checked(wanted, None, made_by, now)
    if count_of(checked.company_id, checked.tag) >= ALERTS_AT_MOST:
        raise RuleViolation(_("There are %(most)s alerts already. Archive one first.", most=ALERTS_AT_MOST))
    alert = Alert(
        public_id=public_id,
        company_id=checked.company_id,
        tag=checked.tag,
        title=checked.title,
        title_key=key_of(checked.title),
        is_on=True,
        made_by=made_by,
        created_at=now,
        recipients=_recipients(checked, made_by),
        **{name: getattr(checked, name) for name in PLAIN},
    )
    _store(alert)
    _watch(alert, now)
    _note("alert.add", alert, by=by, now=now, after=_facts(alert))
    return alert


def edit_alert(
    alert: Alert, wanted: Wanted, *, version: int, made_by: Maker = Maker.STAFF, by: Actor, now: datetime
) -> None:
    """Change an alert. Whose it is stays. The same again is no change.

    Where something else is watched than before it is normal without a word and looked at anew; where only words,
    recipients or times of notices change, it stands as it stood. `made_by` is on which side somebody changes it.
    """
    _check_open(alert, version)
    if made_by is Maker.CUSTOMER:
        is_shared = alert.tag is not None
        rights = rights_of(alert.company_id or 0)
        asked = replace(
            wanted,
            template_id=wanted.template_id if wanted.template_id != alert.template_id else None,
            opens_draft=wanted.opens_draft and not alert.opens_draft,
        )
        _check_customer(asked, may_edit(rights, made_by=alert.made_by, is_shared=is_shared))
    checked = _checked(replace(wanted, company_id=alert.company_id, tag=alert.tag), alert.id, made_by, now)
    before = _facts(alert)
    _rename(alert, checked)
    for name in PLAIN:
        if getattr(alert, name) != getattr(checked, name):
            setattr(alert, name, getattr(checked, name))
    _readdress(alert, checked, made_by)
    _store(alert)
    after = _facts(alert)
    if after == before:
        return
    _look_anew(alert, before, after, now)
    _note("alert.edit", alert, by=by, now=now, before=before, after=after)


def set_threshold(
    alert: Alert, threshold: Decimal, reset: Decimal | None, *, version: int, company_id: int, by: Actor, now: datetime
) -> None:
    """Let the people of a company say when an alert about their money triggers, where their company may."""
    rights = rights_of(company_id)
    is_shared = alert.tag is not None
    if alert.company_id != company_id:
        raise NotFound
    if not may_set_threshold(rights, alert.area, is_shared=is_shared):
        raise RuleViolation(_("Your company may look at this alert and test it. Ask us to have it changed."))
    _check_open(alert, version)
    wanted = replace(wanted_of(alert), threshold=threshold, reset=reset)
    for refusal in refusals(wanted, _decimals(wanted)):
        if refusal.name in {"threshold", "reset"}:
            raise RuleViolation(_(refusal.sentence, **refusal.values), refusal.name)
    before = _facts(alert)
    alert.threshold, alert.reset = threshold, reset
    db.session.flush()
    if (after := _facts(alert)) != before:
        _look_anew(alert, before, after, now)
        _note("alert.edit", alert, by=by, now=now, before=before, after=after)


def switch_alert(
    alert: Alert, is_on: bool, *, version: int, made_by: Maker = Maker.STAFF, by: Actor, now: datetime
) -> None:
    """Switch an alert on, as if it were new, or off: it ends without a word. The same again is no change."""
    _check_open(alert, version)
    _check_side(alert, made_by)
    if alert.is_on is is_on:
        return
    alert.is_on = is_on
    db.session.flush()
    _watch(alert, now)
    _note(f"alert.switch_{'on' if is_on else 'off'}", alert, by=by, now=now)


def archive_alert(alert: Alert, *, version: int, made_by: Maker = Maker.STAFF, by: Actor, now: datetime) -> None:
    """Put an alert away for good, without a word; its title is free again. What happened to it stays."""
    if alert.archived_at is not None:
        return
    _check_open(alert, version)
    _check_side(alert, made_by)
    alert.archived_at = now
    db.session.flush()
    _watch(alert, now)
    _note("alert.archive", alert, by=by, now=now, before=_facts(alert))


def set_rights(company_id: int, may: Rights, *, version: int, by: Actor, now: datetime) -> AlertRights:
    """Say what the people of a company may do with its alerts; `version` is 0 while nobody has said anything."""
    row = db.session.get(AlertRights, company_id)
    if (row.version if row is not None else 0) != version:
        raise StaleEdit
    before = row.may if row is not None else Rights.SEE
    if row is None:
        row = AlertRights(company_id=company_id, may=may)
        _insert_rights(row)
    else:
        row.may = may
        db.session.flush()
    if before is not may:
        events.ring(events.STAFF, events.company_topic(company_id))
        audit.record(
            "alert_rights.set",
            object_kind="company",
            object_id=company_id,
            company_id=company_id,
            by=by,
            now=now,
            before={"may": before},
            after={"may": may},
        )
    return row


def wanted_of(alert: Alert) -> Wanted:
    """An alert as somebody would ask for it, to begin a form with. Its recipients must be loaded."""
    return Wanted(
        title=alert.title,
        company_id=alert.company_id,
        tag=alert.tag,
        recipients=tuple(each.address for each in alert.recipients),
        **{name: getattr(alert, name) for name in PLAIN},
    )


def checked_wish(wanted: Wanted, *, but: int | None = None, made_by: Maker = Maker.STAFF, now: datetime) -> Wanted:
    """What would be stored of a wish, or RuleViolation; writes nothing. For rehearsing before anything is saved."""
    return _checked(wanted, but, made_by, now)


# What may be asked for


def _checked(wanted: Wanted, own_id: int | None, made_by: Maker, now: datetime) -> Wanted:
    tag = text_key(wanted.tag) if wanted.tag and wanted.tag.strip() else None
    found = tidied(replace(wanted, title=one_line(wanted.title), tag=tag))
    _check_known(found, made_by, now)
    for refusal in refusals(found, _decimals(found)):
        raise RuleViolation(_(refusal.sentence, **refusal.values), refusal.name)
    _check_script(found)
    if is_title_taken(key_of(found.title), found.company_id, found.tag, own_id):
        raise _taken(found.title)
    if found.repeat_hour is not None and not found.zone and found.company_id is not None:
        found = replace(found, zone=zones_of([found.company_id]).get(found.company_id, "UTC"))
    return found


def _check_known(wanted: Wanted, made_by: Maker, now: datetime) -> None:
    if wanted.company_id is not None:
        company = db.session.get(Company, wanted.company_id)
        if company is None or company.archived_at is not None:
            raise RuleViolation(_("There is no such company."), "company")
    if wanted.service_id is not None and not _is_service(wanted, made_by, now):
        raise RuleViolation(_("Choose one of the services."), "service")
    if wanted.metric_id is not None and not _is_own_metric(wanted.metric_id, wanted.company_id):
        raise RuleViolation(_("Choose one of the company’s own metrics."), "metric")
    if wanted.template_id is not None:
        template = db.session.get(AlertTemplate, wanted.template_id)
        if template is None or template.archived_at is not None:
            raise RuleViolation(_("Choose one of the templates."), "template")
    if wanted.zone and wanted.zone not in ZONES:
        raise RuleViolation(_("Choose one of the time zones in the list."), "zone")


def _is_own_metric(metric_id: int, company_id: int | None) -> bool:
    metric = db.session.get(Metric, metric_id)
    if metric is None or metric.archived_at is not None:
        return False
    return metric.company_id == company_id and metric.measure is Measure.CUSTOM


def _is_service(wanted: Wanted, made_by: Maker, now: datetime) -> bool:
    """Staff may name any service; customers those their company holds."""
    service = db.session.get(Service, wanted.service_id)
    if service is None or service.archived_at is not None:
        return False
    if made_by is Maker.STAFF:
        return True
    held = select(Holding.id).where(
        Holding.company_id == wanted.company_id, Holding.service_id == service.id, is_valid(Holding, now)
    )
    return db.session.scalar(held.limit(1)) is not None


def _check_customer(wanted: Wanted, may: bool) -> None:
    """What customers may ask for: nothing that looks at others, tells people they do not name, or runs a script."""
    if not may:
        raise RuleViolation(_("Your company may look at this alert and test it. Ask us to have it changed."))
    is_of_staff = wanted.tag is not None or wanted.area is AlertArea.SCRIPT
    if is_of_staff or wanted.opens_draft or wanted.template_id is not None:
        raise RuleViolation(_("This can only be set up by us. Write to us what you need."))


def _check_side(alert: Alert, made_by: Maker) -> None:
    if made_by is Maker.STAFF:
        return
    if not may_edit(rights_of(alert.company_id or 0), made_by=alert.made_by, is_shared=alert.tag is not None):
        raise RuleViolation(_("Your company may look at this alert and test it. Ask us to have it changed."))


def _check_script(wanted: Wanted) -> None:
    if wanted.area is not AlertArea.SCRIPT:
        return
    try:
        keys = scripts.read(wanted.script).keys
        known = _keys_among(keys, wanted.company_id)
        scripts.check(wanted.script, known)
    except scripts.ScriptError as refusal:
        raise RuleViolation(str(refusal), "script") from None


def _keys_among(keys: set[str], company_id: int | None) -> set[str]:
    """Those of the keys under which the company has a metric of its own; for a tag, under which any has."""
    if not keys:
        return set()
    found = select(Metric.key).where(
        Metric.key.in_(keys),
        Metric.measure == Measure.CUSTOM,
        Metric.archived_at.is_(None),
        Metric.company_id == company_id if company_id is not None else Metric.company_id.is_not(None),
    )
    return set(db.session.scalars(found))


def _decimals(wanted: Wanted) -> int:
    """How many digits the figure shows behind the point: what a threshold may have."""
    if wanted.area is AlertArea.SCRIPT:
        return SCRIPT_DECIMALS
    if wanted.metric_id is not None:
        metric = db.session.get(Metric, wanted.metric_id)
        return metric.decimals if metric is not None else SCRIPT_DECIMALS
    if wanted.area.is_money and wanted.company_id is not None:
        found = db.session.scalar(
            select(Metric.decimals).where(
                Metric.company_id == wanted.company_id,
                Metric.measure == Measure.BALANCE,
                Metric.archived_at.is_(None),
                Metric.service_id.is_(None) if wanted.service_id is None else Metric.service_id == wanted.service_id,
            )
        )
        if found is not None:
            return found
    return Measure(wanted.area.value).decimals


def _check_open(alert: Alert, version: int) -> None:
    """Refuse what may not be changed, and hold its watches: whoever looks at them locks them first and the alert, where
    it opens a draft, second."""
    if alert.version != version:
        raise StaleEdit
    if alert.archived_at is not None:
        raise RuleViolation(_("This alert is archived."))
    locked(select(AlertWatch.id).where(AlertWatch.alert_id == alert.id))


# Small steps


def _recipients(wanted: Wanted, made_by: Maker) -> list[AlertRecipient]:
    named = named_in(wanted.recipients, company_id=wanted.company_id, by_customer=made_by is Maker.CUSTOMER)
    return [AlertRecipient(kind=each.kind, address=each.address, person_id=each.person_id) for each in named]


def _rename(alert: Alert, wanted: Wanted) -> None:
    if alert.title != wanted.title:
        alert.title, alert.title_key = wanted.title, key_of(wanted.title)


def _readdress(alert: Alert, wanted: Wanted, made_by: Maker) -> None:
    """Whoever is named already stays named, also where a customer could not name them anew."""
    known = {each.address: each for each in alert.recipients}
    typed = [each for each in wanted.recipients if each not in known]
    new = _recipients(replace(wanted, recipients=tuple(typed)), made_by) if typed else []
    kept = [known[each] for each in dict.fromkeys(wanted.recipients) if each in known]
    found = kept + [each for each in new if each.address not in known]
    if {each.address for each in found} != set(known):
        alert.recipients = found


def _store(alert: Alert) -> None:
    """Write it, with a sentence where somebody else takes its title at the same moment."""
    try:
        with db.session.begin_nested():
            db.session.add(alert)
            db.session.flush()
    except IntegrityError:
        if not is_title_taken(key_of(alert.title), alert.company_id, alert.tag, alert.id):
            raise
        raise _taken(alert.title) from None


def _insert_rights(row: AlertRights) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(row)
            db.session.flush()
    except IntegrityError:
        raise StaleEdit from None


def _taken(title: str) -> RuleViolation:
    return RuleViolation(_("There is an alert called %(title)s already.", title=title), "title")


def _watch(alert: Alert, now: datetime) -> None:
    """Watch whom it is for; of a tag with very many companies the rest follows by the clock."""
    sweep(now, alert.id)
    _ring(alert)
    events.wake("evaluate_alerts")


def _look_anew(alert: Alert, before: Mapping[str, Any], after: Mapping[str, Any], now: datetime) -> None:
    """Have its watches begin anew where something else is watched, or looked at where something else is said."""
    changed = {name for name in after if after[name] != before[name]}
    mine = select(AlertWatch.id).where(AlertWatch.alert_id == alert.id, AlertWatch.closed_at.is_(None))
    if changed & set(WATCHED):
        clear(locked(mine), now, why="it was changed", due_at=now)
        events.wake("evaluate_alerts")
    elif changed & set(CLOCKED):
        change(locked(mine), {"due_at": now})
        events.wake("evaluate_alerts")
    _ring(alert)


def _ring(alert: Alert) -> None:
    events.ring(events.STAFF)
    if alert.company_id is not None:
        events.ring(events.company_topic(alert.company_id))


def _facts(alert: Alert) -> dict[str, Any]:
    return {
        **{name: _plain(getattr(alert, name)) for name in ("title", "company_id", "tag", *PLAIN, "is_on")},
        "recipients": sorted(each.address for each in alert.recipients),
    }


def _plain(value: Any) -> Any:
    return f"{value:f}" if isinstance(value, Decimal) else value


def _note(
    action: str,
    alert: Alert,
    *,
    by: Actor,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit.record(
        action,
        object_kind="alert",
        object_id=alert.id,
        company_id=alert.company_id,
        by=by,
        now=now,
        before=before,
        after=after,
    )
