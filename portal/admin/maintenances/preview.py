"""What planning or steering maintenance would do, computed while the form is filled in: what is seen, what else its
companies have at that time, who is told, and when."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from portal.accounts.models import Company
from portal.admin.maintenances.clashing import Clashes, clashes_of
from portal.admin.maintenances.forms import PlanForm, SeriesForm, StepForm
from portal.admin.maintenances.possible import Step
from portal.admin.maintenances.repeating import in_words
from portal.catalogue.queries import Reach, Unreachable, reach_of, reach_of_everyone
from portal.catalogue.queries.hearing import MAINTENANCE, WORK
from portal.catalogue.queries.unreached import Stranded, stranded
from portal.catalogue.rules import component_topic, service_topic
from portal.errors import RuleViolation
from portal.incidents.models import Maintenance
from portal.incidents.queries import companies_reached
from portal.incidents.queries.languages import readers_by_language
from portal.incidents.rules import Audience, MaintenanceState, Visibility
from portal.incidents.rules.maintenance import Plan
from portal.incidents.rules.recurrence import AHEAD_AT_MOST, RuleError, moment_of, walls
from portal.notifications.arrival import Arrival
from portal.notifications.kinds import kind_named
from portal.notifications.outlook import arrival
from portal.notifications.subscribers.hearing import count_hearing

NAMED_AT_MOST = 30
"""How many companies a preview names; the rest is a number."""

UNREACHABLE_NAMED = 20
DATES_SHOWN = 5

NONE_STRANDED = Stranded((), 0)


@dataclass(frozen=True)
class Preview:
    """Everything staff see before they plan or steer.

    `plan` is what was typed as far as it can be meant, `trouble` what of it cannot. `affected` are those the components
    reach, `mailed` those who get the mail, None if nobody does. `state`, `starts_at` and `ends_at` are what customers
    are shown. `next_dates` are the first windows of work that repeats; what is shown is
    then the first of them. `subscribers` have no login and hear of maintenance that is for everyone. `readers` are the
    people it is for, by the language they read.
    """

    is_private: bool
    audience: Audience
    notify: bool
    names_components: bool
    affected: Reach
    companies: Sequence[Company]
    mailed: Reach | None
    arrival: Arrival | None
    stranded: Stranded
    state: MaintenanceState = MaintenanceState.SCHEDULED
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    plan: Plan | None = None
    trouble: str = ""
    clashes: Clashes | None = None
    remind_at: Sequence[datetime] = ()
    has_reminders: bool = False
    rule_words: str = ""
    rule_trouble: str = ""
    next_dates: Sequence[tuple[datetime, datetime]] = ()
    is_past: bool = False
    subscribers: int = 0
    readers: Mapping[str, int] = field(default_factory=dict)

    @property
    def concerns_everyone(self) -> bool:
        return self.affected.concerns_everyone

    @property
    def people(self) -> int:
        """How many people are mailed."""
        return self.mailed.people if self.mailed else 0

    @property
    def unreachable(self) -> Sequence[Unreachable]:
        """The first of those who would be told and are not."""
        return (self.mailed or self.affected).unreachable[:UNREACHABLE_NAMED]

    @property
    def unreachable_total(self) -> int:
        """How many would be told and are not."""
        return (self.mailed or self.affected).unreachable_total

    @property
    def declined_total(self) -> int:
        """How many of these chose not to hear of it; the others cannot be reached."""
        return (self.mailed or self.affected).declined_total

    @property
    def concerns(self) -> str:
        """Whom it touches, as a customer reads it."""
        if self.is_private:
            return ""
        if self.concerns_everyone:
            return "This may affect any of your services." if self.names_components else ""
        return f"Planned work on your {', '.join(service.name for service in self.affected.services[:4])}"


def preview_of_plan(form: PlanForm, now: datetime, *, is_new: bool, but: int | None = None) -> Preview:
    """The preview of work that is planned, or corrected (then `but` is its own id, and nobody is mailed of it).

    At most 38 queries, whatever it reaches.
    """
    plan, trouble = None, ""
    try:
        plan = form.plan()
    except (RuleViolation, ValueError) as refused:
        trouble = refused.sentence if isinstance(refused, RuleViolation) else ""
    repeats = isinstance(form, SeriesForm) and form.repeats
    is_past = plan is not None and plan.ends_at <= now and not repeats
    found = _preview(
        form.components.data,
        audience=_audience(form),
        visibility=_visibility(form),
        notify=bool(form.notify.data) and is_new and not is_past,
        now=now,
    )
    found = replace(found, plan=plan, trouble=trouble, is_past=is_past)
    if plan is None:
        return found
    if isinstance(form, SeriesForm):
        found = _with_rule(found, form, plan, now)
    starts_at, ends_at = found.next_dates[0] if found.next_dates else (plan.starts_at, plan.ends_at)
    remind_at = [starts_at - each for each in plan.reminders if starts_at - each > now]
    return replace(
        found,
        starts_at=starts_at,
        ends_at=ends_at,
        remind_at=remind_at if plan.notify else (),
        has_reminders=bool(plan.reminders) and plan.notify,
        clashes=None if is_past else clashes_of(form.components.data, starts_at, ends_at, now, but=but),
    )


def preview_of_step(maintenance: Maintenance, step: Step, form: StepForm, now: datetime) -> Preview:
    """The preview of a step of a maintenance. At most 38 queries, whatever it reaches."""
    component_ids = [part.component_id for part in maintenance.components]
    found = _preview(
        component_ids,
        audience=maintenance.audience,
        visibility=maintenance.visibility,
        notify=bool(form.notify.data) and not maintenance.is_backfill,
        now=now,
    )
    starts_at, ends_at, trouble = maintenance.starts_at, maintenance.ends_at, ""
    if step.asks_window:
        try:
            starts_at, ends_at, _zone = wanted_window(maintenance, form, now)
        except RuleViolation as refused:
            trouble = refused.sentence
    is_moved = (starts_at, ends_at) != (maintenance.starts_at, maintenance.ends_at)
    remind_at = [starts_at - timedelta(minutes=each) for each in maintenance.reminders] if step.name == "move" else []
    return replace(
        found,
        state=step.state or MaintenanceState(maintenance.state),
        starts_at=starts_at,
        ends_at=ends_at,
        trouble=trouble,
        remind_at=[at for at in remind_at if at > now],
        clashes=clashes_of(component_ids, starts_at, ends_at, now, but=maintenance.id) if is_moved else None,
    )


def wanted_window(maintenance: Maintenance, form: StepForm, now: datetime) -> tuple[datetime, datetime, str]:
    """The times that were typed; what is under way keeps its start. RuleViolation for what is left empty."""
    if form.starts_at.data is None and maintenance.starts_at <= now:
        zone = form.clock_of()
        ends_at = form.moment("ends_at", zone)
        if ends_at is None:
            raise RuleViolation("Say when the work ends.", "ends_at")
        return maintenance.starts_at, ends_at, zone.key
    return form.window()


def _preview(
    component_ids: Collection[int], *, audience: Audience, visibility: Visibility, notify: bool, now: datetime
) -> Preview:
    ids = sorted(component_ids)
    affected = reach_of(ids, now, MAINTENANCE)
    is_private = visibility is Visibility.PRIVATE
    to_all = affected.concerns_everyone or audience is Audience.EVERYONE
    mailed = None
    if notify and not is_private:
        mailed = reach_of_everyone(now, ids, MAINTENANCE) if to_all else affected
    priority = kind_named("maintenance").priority if mailed else 0
    is_public = mailed is not None and audience is Audience.EVERYONE
    return Preview(
        is_private=is_private,
        audience=audience,
        notify=notify,
        names_components=bool(ids),
        affected=affected,
        companies=companies_reached(ids, now, NAMED_AT_MOST),
        mailed=mailed,
        arrival=arrival(mailed.people, now, priority=priority) if mailed else None,
        stranded=NONE_STRANDED if is_private else stranded(ids, now, NAMED_AT_MOST, is_for_all=to_all),
        subscribers=_subscribers(affected, ids) if is_public else 0,
        readers={} if is_private else readers_by_language(ids, now, to_all=to_all),
    )


def _subscribers(affected: Reach, component_ids: Collection[int]) -> int:
    """How many without a login hear of work on these components. Two queries."""
    services = (service_topic(each.id) for each in affected.services)
    return count_hearing(WORK, [*map(component_topic, component_ids), *services])


def _with_rule(found: Preview, form: SeriesForm, plan: Plan, now: datetime) -> Preview:
    try:
        rule = form.rule()
        if rule is None:
            return found
        dates = _first_dates(rule, plan, now)
    except (RuleViolation, RuleError) as refused:
        return replace(found, rule_trouble=str(refused))
    if not dates:
        return replace(found, rule_trouble="By this rule there is no day at all.")
    return replace(found, rule_words=in_words(rule, ZoneInfo(plan.zone)), next_dates=dates)


def _first_dates(rule: str, plan: Plan, now: datetime) -> list[tuple[datetime, datetime]]:
    """The first windows by the rule that are ahead, as clocks of the zone show them."""
    first = plan.starts_at.astimezone(ZoneInfo(plan.zone)).replace(tzinfo=None, fold=0)
    lasts = plan.ends_at - plan.starts_at
    moments = (moment_of(wall, plan.zone) for wall in walls(rule, first, plan.zone, first + AHEAD_AT_MOST))
    ahead = islice((moment for moment in moments if moment > now), DATES_SHOWN)
    return [(starts_at, starts_at + lasts) for starts_at in ahead]


def _audience(form: PlanForm) -> Audience:
    return Audience(form.audience.data) if form.audience.data in list(Audience) else Audience.EVERYONE


def _visibility(form: PlanForm) -> Visibility:
    return Visibility(form.visibility.data) if form.visibility.data in list(Visibility) else Visibility.PUBLIC
