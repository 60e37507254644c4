"""What the feed of a portal domain tells, for everybody signed out, in one language."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

from portal.accounts.rules import SIGNED_OUT
from portal.catalogue.queries.described import described_components
from portal.domains.announcements.queries import Told, told_lately
from portal.domains.models import PortalDomain
from portal.incidents.queries.after import ToldPostmortem, told_postmortems
from portal.incidents.queries.whole import WholeIncident, WholeMaintenance, whole_incidents, whole_maintenance
from portal.incidents.rules import MaintenanceState
from portal.incidents.rules.maintenance import state_of
from portal.public.status.everybody import render_bare

ENTRIES = 50
"""How many entries a feed has; readers that come by now and then have had the others."""


class Entry(NamedTuple):
    """One entry: `key` is the same for ever, `path` its page, `category` what kind it is, `content` clean HTML."""

    key: str
    kind: str
    title: str
    path: str
    content: str
    published_at: datetime
    updated_at: datetime


def entries_of(domain: PortalDomain, language: str, now: datetime) -> list[Entry]:
    """The latest incidents, maintenance and announcements, what changed last first. A fixed number of queries."""
    incidents = whole_incidents(SIGNED_OUT, now, limit=ENTRIES)
    work = whole_maintenance(SIGNED_OUT, now, limit=ENTRIES)
    titles = _titles([*incidents, *work])
    after = told_postmortems([each.id for each in incidents if each.resolved_at])
    told = told_lately(domain.id, (language, domain.language), ENTRIES, now)
    entries = [
        *(_incident(each, titles, after.get(each.id)) for each in incidents),
        *(_work(each, titles, now) for each in work),
        *(_announcement(each) for each in told),
    ]
    entries.sort(key=lambda entry: (entry.updated_at, entry.key), reverse=True)
    return entries[:ENTRIES]


def id_of(domain: PortalDomain, key: str) -> str:
    """The id of an entry, or of the feed itself: the same whatever becomes of the host or of the title."""
    return uuid5(NAMESPACE_URL, f"signalbox:{domain.id}:{domain.created_at.isoformat()}:{key}").urn


def _titles(reports: Sequence[WholeIncident | WholeMaintenance]) -> dict[int, str]:
    named = {component_id for report in reports for component_id in report.component_ids}
    return {each.id: each.title for each in described_components(named)} if named else {}


def _incident(incident: WholeIncident, titles: dict[int, str], postmortem: ToldPostmortem | None) -> Entry:
    content = render_bare(
        "public/feeds/incident.html",
        incident=incident,
        postmortem=postmortem,
        components=_named(incident.component_ids, titles),
    )
    changed_at = incident.updated_at
    if postmortem:
        changed_at = max(changed_at, postmortem.changed_at, postmortem.published_at)
    key = f"incident:{incident.public_id}"
    path = f"/incidents/{incident.public_id}"
    return Entry(key, "incident", incident.title, path, content, incident.started_at, changed_at)


def _work(work: WholeMaintenance, titles: dict[int, str], now: datetime) -> Entry:
    state = state_of(work, now)
    content = render_bare(
        "public/feeds/maintenance.html", work=work, state=state, components=_named(work.component_ids, titles)
    )
    # The clock moves it too, and a reader looks again only at what says that it changed.
    moved_at = work.updated_at
    if state in (MaintenanceState.IN_PROGRESS, MaintenanceState.VERIFYING):
        moved_at = max(moved_at, min(work.starts_at, now))
    elif state is MaintenanceState.COMPLETED:
        moved_at = max(moved_at, min(work.completed_at or work.ends_at, now))
    key, path = f"maintenance:{work.public_id}", f"/maintenances/{work.public_id}"
    return Entry(key, "maintenance", work.title, path, content, work.created_at, moved_at)


def _announcement(told: Told) -> Entry:
    content = render_bare("public/feeds/announcement.html", told=told)
    key, path = f"announcement:{told.public_id}", f"/announcements/{told.public_id}"
    # Nobody saw it before it began to stand, however long ago it was written.
    return Entry(key, "announcement", told.title, path, content, told.starts_at, max(told.updated_at, told.starts_at))


def _named(component_ids: Sequence[int], titles: dict[int, str]) -> list[str]:
    return [titles[each] for each in component_ids if each in titles]
