"""Our rows as the objects of the Statuspage API v2. Source: status-pages, section 2; Atlassian's documentation.

Times are ISO 8601 in UTC with milliseconds. Ids are public ids. A field that we have no thing for is there with the
value it has on a page that does not use it, so that strict readers find what they expect.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from portal.catalogue.queries.described import DescribedComponent, DescribedGroup
from portal.domains.models import PortalDomain
from portal.incidents.queries.after import ToldPostmortem
from portal.incidents.queries.whole import ToldUpdate, WholeIncident, WholeMaintenance
from portal.incidents.rules import (
    STATUS_OF_SEVERITY,
    ComponentStatus,
    MaintenanceState,
    PageStatus,
    Severity,
    State,
    public_id_for,
)
from portal.incidents.rules.maintenance import SENTENCES, state_of

Json = dict[str, Any]

PAGE_ID_LENGTH = 12
"""As long as the ids of pages at Statuspage."""

WORD_OF_STATE = {
    State.INVESTIGATING: "investigating",
    State.IDENTIFIED: "identified",
    State.WATCHING: "monitoring",
    State.FIXED: "resolved",
}
AFTERWARDS = "postmortem"
"""The state of an incident that is fixed and explained, and of the update that explains it."""

WORD_OF_MAINTENANCE = {
    MaintenanceState.SCHEDULED: "scheduled",
    MaintenanceState.IN_PROGRESS: "in_progress",
    MaintenanceState.VERIFYING: "verifying",
    MaintenanceState.COMPLETED: "completed",
    # Readers know four states; what was called off is over.
    MaintenanceState.CANCELLED: "completed",
}


def time_of(moment: datetime) -> str:
    """A moment as real pages write it: one widely used reader demands the fraction."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def page_id(domain: PortalDomain) -> str:
    """The id of the page: opaque, and the same as long as the portal domain exists, whatever becomes of its host."""
    return public_id_for(f"page:{domain.id}:{domain.created_at.isoformat()}")[:PAGE_ID_LENGTH]


def page_of(domain: PortalDomain, changed_at: datetime | None) -> Json:
    """The page, changed when anything on it last was."""
    return {
        "id": page_id(domain),
        "name": domain.brand,
        "url": domain.base_url,
        "time_zone": domain.time_zone,
        "updated_at": time_of(changed_at or domain.created_at),
    }


def status_of(status: PageStatus) -> Json:
    """The roll-up of the page."""
    return {"indicator": status.indicator.value, "description": status.description}


class Shaper:
    """Shapes what belongs to one page. `statuses` and `moved_at` are of component ids, `components` of all named."""

    def __init__(
        self,
        domain: PortalDomain,
        components: Sequence[DescribedComponent],
        statuses: Mapping[int, ComponentStatus],
        moved_at: Mapping[int, datetime],
        now: datetime,
    ) -> None:
        self.page_id = page_id(domain)
        self.base_url = domain.base_url
        self.now = now
        self._components = components
        self._by_id = {each.id: each for each in components}
        self._statuses = statuses
        self._moved_at = moved_at

    def components(self) -> list[Json]:
        """The live components; those of a group follow the row of the group."""
        live = [each for each in self._components if not each.is_archived]
        shaped: list[Json] = []
        for group, each in groupby(live, key=lambda component: component.group):
            members = list(each)
            if group is not None:
                shaped.append(self._group(group, members))
            shaped += map(self.component, members)
        return shaped

    def live_statuses(self) -> list[ComponentStatus]:
        """The statuses of the live components: what the page is rolled up from."""
        return [self._status(each) for each in self._components if not each.is_archived]

    def component(self, component: DescribedComponent) -> Json:
        """A component; what was archived is well as far as anybody is told."""
        changed_at = max(component.updated_at, self._moved_at.get(component.id, component.updated_at))
        return self._row(component, component.title, self._status(component), changed_at) | {
            "description": component.description,
            "group_id": component.group.public_id if component.group else None,
            "group": False,
            "only_show_if_degraded": component.only_if_degraded,
        }

    def _group(self, group: DescribedGroup, members: Sequence[DescribedComponent]) -> Json:
        """A group as a row among the components: as bad as its worst member."""
        worst = max((self._status(each) for each in members), key=lambda status: status.rank)
        changed_at = max(self._moved_at.get(each.id, group.created_at) for each in members)
        return self._row(group, group.name, worst, max(changed_at, group.created_at)) | {
            "description": None,
            "group_id": None,
            "group": True,
            "components": [each.public_id for each in members],
        }

    def _row(
        self, row: DescribedComponent | DescribedGroup, name: str, status: ComponentStatus, changed_at: datetime
    ) -> Json:
        return {
            "id": row.public_id,
            "name": name,
            "status": status.value,
            "created_at": time_of(row.created_at),
            "updated_at": time_of(changed_at),
            "position": row.position,
            "showcase": False,
            "start_date": None,
            "page_id": self.page_id,
            "only_show_if_degraded": False,
        }

    def _status(self, component: DescribedComponent) -> ComponentStatus:
        return self._statuses.get(component.id, ComponentStatus.OPERATIONAL)

    def incident(self, incident: WholeIncident, postmortem: ToldPostmortem | None = None) -> Json:
        """An incident with its updates, newest first; a postmortem is the last of them, and a state of its own."""
        updates, monitoring_at = self._updates(incident)
        shaped = self._report(incident)
        if postmortem:
            updates.insert(0, self._postmortem(incident, postmortem))
            shaped["updated_at"] = max(shaped["updated_at"], updates[0]["updated_at"])
        return shaped | {
            "status": AFTERWARDS if postmortem else WORD_OF_STATE[incident.state],
            "impact": incident.impact.value,
            "monitoring_at": time_of(monitoring_at) if monitoring_at else None,
            "resolved_at": time_of(incident.resolved_at) if incident.resolved_at else None,
            "shortlink": f"{self.base_url}/incidents/{incident.public_id}",
            "started_at": time_of(incident.started_at),
            "incident_updates": updates,
        }

    def maintenance(self, work: WholeMaintenance) -> Json:
        """Maintenance with its window, its state by the clock, and its updates, newest first."""
        state = state_of(work, self.now)
        ended_at = None
        if state is MaintenanceState.CANCELLED:
            ended_at = work.updated_at
        elif state is MaintenanceState.COMPLETED:
            ended_at = work.completed_at or work.ends_at
        updates = [
            self._update(
                work,
                each.public_id,
                WORD_OF_MAINTENANCE[each.state],
                each.body or SENTENCES[each.kind],
                each.posted_at,
            )
            | {"deliver_notifications": each.notify}
            for each in work.updates
        ]
        return self._report(work) | {
            "status": WORD_OF_MAINTENANCE[state],
            "impact": "maintenance",
            "monitoring_at": None,
            "resolved_at": time_of(ended_at) if ended_at else None,
            "shortlink": f"{self.base_url}/maintenances/{work.public_id}",
            "started_at": time_of(work.starts_at),
            # Readers take the first update without looking whether there is one.
            "incident_updates": updates
            or [self._update(work, work.public_id, WORD_OF_MAINTENANCE[state], work.title, work.created_at)],
            "scheduled_for": time_of(work.starts_at),
            "scheduled_until": time_of(work.ends_at),
        }

    def _report(self, report: WholeIncident | WholeMaintenance) -> Json:
        named = [self._by_id[each] for each in report.component_ids if each in self._by_id]
        return {
            "id": report.public_id,
            "name": report.title,
            "created_at": time_of(report.created_at),
            "updated_at": time_of(report.updated_at),
            "page_id": self.page_id,
            "components": [self.component(each) for each in named],
            "reminder_intervals": None,
        }

    def _updates(self, incident: WholeIncident) -> tuple[list[Json], datetime | None]:
        """The updates, newest first, and when the incident last went over to being watched.

        Each names every component the incident had named by then, moved or not, as Statuspage does.
        """
        standing: dict[int, Severity] = {}
        state, monitoring_at = State.INVESTIGATING, None
        shaped: list[Json] = []
        for number, each in enumerate(reversed(incident.updates)):
            before = state
            state = each.state or state
            if state is State.WATCHING and (before is not state or number == 0):
                monitoring_at = each.posted_at
            shaped.append(
                self._update(incident, each.public_id, WORD_OF_STATE[state], each.body, each.posted_at)
                | {
                    "updated_at": time_of(each.corrected_at or each.posted_at),
                    "affected_components": self._affected(each, standing) or None,
                    "deliver_notifications": each.notify,
                }
            )
        return shaped[::-1], monitoring_at

    def _postmortem(self, incident: WholeIncident, told: ToldPostmortem) -> Json:
        return self._update(incident, told.public_id, AFTERWARDS, told.body, told.published_at) | {
            "updated_at": time_of(max(told.changed_at, told.published_at)),
            "deliver_notifications": told.notify,
        }

    def _affected(self, update: ToldUpdate, standing: dict[int, Severity]) -> list[Json]:
        """The components named so far with what this update made of them; `standing` is brought up to it."""
        moved = {change.component_id: change for change in update.changes}
        for component_id, change in moved.items():
            standing[component_id] = change.new
        return [
            {
                "code": self._by_id[component_id].public_id,
                "name": _full_name(self._by_id[component_id]),
                "old_status": _status_word(moved[component_id].old if component_id in moved else severity),
                "new_status": _status_word(severity),
            }
            for component_id, severity in standing.items()
            if component_id in self._by_id
        ]

    def _update(
        self, report: WholeIncident | WholeMaintenance, public_id: str, status: str, body: str, posted_at: datetime
    ) -> Json:
        at = time_of(posted_at)
        return {
            "id": public_id,
            "status": status,
            "body": as_written(body),
            "incident_id": report.public_id,
            "created_at": at,
            "updated_at": at,
            "display_at": at,
            "affected_components": None,
            "deliver_notifications": False,
            "custom_tweet": None,
            "tweet_id": None,
        }


def as_written(body: str) -> str:
    """The text of an update as its author wrote it, in Markdown; its hard line breaks are plain ones."""
    return body.replace("\\\n", "\n")


def named_in(reports: Iterable[WholeIncident | WholeMaintenance]) -> set[int]:
    """The ids of all components these reports name."""
    return {component_id for report in reports for component_id in report.component_ids}


def _full_name(component: DescribedComponent) -> str:
    return f"{component.group.name} - {component.title}" if component.group else component.title


def _status_word(severity: Severity) -> str:
    return STATUS_OF_SEVERITY[severity].value
