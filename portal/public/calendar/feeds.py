"""Planned work as a whole calendar, in the language that is spoken: for everybody, or for one company."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from flask_babel import gettext as _

from portal import plaintext
from portal.accounts.rules import SIGNED_OUT, Viewpoint
from portal.calendars import Entry, add_line, calendar_of, event_of
from portal.domains.models import PortalDomain
from portal.filters import markdown
from portal.incidents.calendars import Account, note_lines, sequence_of, uid_of
from portal.incidents.letters import PATH, impact_sentence, note_of, organizer, provider, summary
from portal.incidents.queries.calendars import PlannedWork, account_numbers, planned_work
from portal.incidents.rules import MaintenanceState
from portal.incidents.rules.maintenance import state_of
from portal.language import current
from portal.services.queries.calendars import Window, windows_of_company
from portal.services.queries.settings import view_of

if TYPE_CHECKING:
    from icalendar import Event


def public_calendar(domain: PortalDomain, now: datetime) -> str:
    """What is planned, as everybody signed out may see it. At most four queries."""
    events = [_of_work(domain, work, now) for work in planned_work(SIGNED_OUT, now)]
    return calendar_of(events, name=_("%(brand)s: maintenance", brand=domain.brand), language=current())


def company_calendar(
    domain: PortalDomain, company_id: int, now: datetime, *, shows_status: bool, shows_services: bool
) -> str:
    """What is planned for a company, with its own services and references. At most eleven queries."""
    events = []
    if shows_status:
        number = account_numbers([company_id]).get(company_id, "")
        for work in planned_work(Viewpoint(company_id=company_id), now):
            objects = [reference or service for service, reference in work.objects]
            account = Account(company_id, number, objects) if objects else None
            events.append(_of_work(domain, work, now, account))
    if shows_services:
        view = view_of(domain.id, company_id)
        events += [_of_window(domain, window) for window in windows_of_company(company_id, view, now)]
    return calendar_of(events, name=_("%(brand)s: planned for you", brand=domain.brand), language=current())


def _of_work(domain: PortalDomain, work: PlannedWork, now: datetime, account: Account | None = None) -> Event:
    """The entry of a maintenance, with a company's own account and circuits if there are any of its: the same as the
    one that its mails bring."""
    state = state_of(work, now)
    entry = Entry(
        uid=uid_of(work.public_id, provider(), account.company_id if account else None),
        sequence=sequence_of(work.sequence, state),
        starts_at=work.starts_at,
        ends_at=work.ends_at,
        is_cancelled=state is MaintenanceState.CANCELLED,
        changed_at=work.changed_at,
        organizer=organizer(),
    )
    services = [f"{service} ({reference})" if reference else service for service, reference in work.objects]
    is_over = state in (MaintenanceState.COMPLETED, MaintenanceState.CANCELLED)
    parts = [
        _("It is about services of yours: %(services)s.", services=", ".join(services)) if services else "",
        "" if is_over else impact_sentence(work.impact),
        _("What is worked on: %(components)s.", components=", ".join(work.components)) if work.components else "",
        plaintext.from_html(markdown(work.body)),
    ]
    event = event_of(
        entry,
        summary=summary(work.title),
        description="\n\n".join(filter(None, parts)),
        language=current(),
        url=f"{domain.base_url}{PATH}{work.public_id}",
    )
    if account is not None:
        for name, value, parameters in note_lines(note_of(work.public_id, state, work.impact), account):
            add_line(event, name, value, parameters)
    return event


def _of_window(domain: PortalDomain, window: Window) -> Event:
    """The entry of scheduled service: the same as the one that its mails bring."""
    named = f"{window.service} ({', '.join(window.references)})" if window.references else window.service
    entry = Entry(
        uid=f"{window.public_id}-{window.service_id}@{provider()}",
        sequence=window.sequence,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        is_cancelled=window.is_cancelled,
        changed_at=window.changed_at,
        organizer=organizer(),
    )
    return event_of(
        entry,
        summary=_("Scheduled service: %(service)s", service=named),
        description="\n\n".join(filter(None, (plaintext.from_html(markdown(window.notes)), window.ticket))),
        language=current(),
        url=f"{domain.base_url}/services",
    )
