"""What setting a status would do, computed while the form is filled in: what is seen, who is told, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from portal.admin.services.forms import BulkForm, SetForm
from portal.admin.services.letter import Letter, Said, letter_of
from portal.catalogue.models import Service
from portal.errors import RuleViolation
from portal.incidents.rules.templates import blanks
from portal.notifications.arrival import Arrival
from portal.notifications.outlook import arrival
from portal.services.mails import SERVICE_STATUS
from portal.services.notes import Hint, warnings
from portal.services.queries.choosing import holdings_chosen, holdings_named
from portal.services.queries.hearing import Audience, who_hears
from portal.services.queries.settings import settings
from portal.services.queries.standing import standing_of, was_mailed
from portal.services.rules import PROBLEMS, ServiceStatus, Wanted

COMPANIES_NAMED = 30
"""Companies a preview names; the rest is a number."""


@dataclass(frozen=True)
class Held:
    """A holding that is named, in words."""

    id: int
    service: str
    reference: str
    company: str


@dataclass(frozen=True)
class Targets:
    """For whom: holdings of how many companies, of which services. `named` are those named one by one.

    `unknown` are numbers nobody goes by. `trouble` is why it is not known who is meant.
    """

    holding_ids: Sequence[int] = ()
    service_ids: Sequence[int] = ()
    companies: int = 0
    services: Sequence[str] = ()
    named: Sequence[Held] = ()
    company_id: int | None = None
    unknown: Sequence[str] = ()
    trouble: str = ""


@dataclass(frozen=True)
class Preview:
    """Everything staff see before they set a status.

    `wanted` is what was typed, as far as it can be meant; `trouble` is what of it cannot, `blanks` are still to be
    filled in, and `hints` to be thought about. `standing` says what is stated of how many now. `audience` is None
    while nobody is to be told; `letter` is what the first company of those who are reads.
    """

    targets: Targets
    status: ServiceStatus | None
    wanted: Wanted | None
    trouble: str
    blanks: Sequence[str]
    hints: Sequence[Hint]
    standing: Mapping[ServiceStatus, int] = field(default_factory=dict)
    audience: Audience | None = None
    arrival: Arrival | None = None
    letter: Letter | None = None

    @property
    def people(self) -> int:
        """How many people are mailed."""
        return self.audience.people if self.audience else 0


def targets_named(holding_ids: Sequence[int], now: datetime) -> Targets:
    """The holdings of these ids that are still held. One query."""
    found = holdings_named(holding_ids, now)
    companies = {each.company_id for each in found}
    return Targets(
        holding_ids=sorted(each.id for each in found),
        service_ids=sorted({each.service_id for each in found}),
        companies=len(companies),
        services=list(dict.fromkeys(each.service.name for each in found)),
        named=[Held(each.id, each.service.name, each.reference, each.company.name) for each in found],
        company_id=next(iter(companies)) if len(companies) == 1 else None,
    )


def service_targets(service: Service, form: BulkForm, now: datetime) -> Targets:
    """The holdings of the service that the form chooses."""
    try:
        found = holdings_chosen(service.id, form.choice(), now)
    except RuleViolation as violation:
        return Targets(service_ids=[service.id], services=[service.name], trouble=violation.sentence)
    return Targets(
        holding_ids=found.holding_ids,
        service_ids=[service.id],
        companies=found.companies,
        services=[service.name],
        unknown=found.unknown,
    )


def preview_of(
    form: SetForm, targets: Targets, cause_began_at: datetime | None, now: datetime, *, zone: str
) -> Preview:
    """The preview of the form as it stands; what is still wrong in it is said and stops nothing else.

    The mail is shown as it is read in `zone`. At most 26 queries, whatever the number of holdings up to five thousand.
    """
    status, trouble = form.chosen_status(), targets.trouble
    try:
        wanted = form.wanted(cause_began_at) if status is not None else None
    except RuleViolation as violation:
        wanted, trouble = None, trouble or violation.sentence
    if wanted is None and status is not None:
        wanted = Wanted(status, form.notes.data or "", ticket=form.ticket.data or "", notify=bool(form.notify.data))
    ids, usual = targets.holding_ids, settings()
    is_quiet_recovery = wanted is not None and wanted.status is ServiceStatus.NORMAL and not wanted.notify
    hints = (
        warnings(
            wanted,
            now,
            was_mailed=is_quiet_recovery and was_mailed(ids),
            is_hit=cause_began_at is not None,
            targets=usual.targets,
        )
        if wanted is not None
        else []
    )
    audience = who_hears(ids, wanted, now) if wanted is not None and wanted.notify and ids else None
    return Preview(
        targets=targets,
        status=status,
        wanted=wanted,
        trouble=trouble,
        blanks=blanks(form.notes.data or ""),
        hints=hints,
        standing=standing_of(ids, now),
        audience=audience,
        arrival=arrival(audience.people, now, priority=SERVICE_STATUS.priority) if audience else None,
        letter=_letter(wanted, targets, audience, digest_over=usual.digest_over, zone=zone, now=now)
        if wanted is not None and audience
        else None,
    )


def _letter(
    wanted: Wanted, targets: Targets, audience: Audience, *, digest_over: int, zone: str, now: datetime
) -> Letter | None:
    services = list(targets.services)
    if targets.named and audience.people:
        first = audience.named_companies[0].name
        services = list(dict.fromkeys(each.service for each in targets.named if each.company == first)) or services
    is_problem = wanted.status in PROBLEMS
    return letter_of(
        Said(
            status=wanted.status,
            services=services,
            notes=wanted.notes,
            ticket=wanted.ticket,
            starts_at=(wanted.began_at or now) if is_problem else wanted.starts_at,
            ends_at=wanted.ends_at,
            is_digest=len(services) > digest_over,
        ),
        audience,
        zone,
    )
