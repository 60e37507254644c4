"""What is planted about planned work: unlikely words for whatever staff alone or another company may read of it.

There is work everybody may read of, which reaches the company that looks and about which another company asked for
another slot; private work and what it recurs by; work that concerns another company alone; and days that company wants
nothing touched on. The company's own calendar has an address, whose secret the walk knows.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal.incidents.models import (
    CalendarAddress,
    Freeze,
    Maintenance,
    MaintenanceComponent,
    MaintenanceSeries,
    MaintenanceUpdate,
    SlotRequest,
)
from portal.incidents.rules import Audience, MaintenanceState, Visibility
from portal.incidents.rules.maintenance import Notice, SlotState, WorkImpact
from portal.jobs.proof.ground import Ground, Row, blank, say
from portal.jobs.proof.strangers import PLAIN, Strangers, keep, last_id

PLANNED_AT_MOST = 200
"""Maintenances that the proof looks at; the newest."""

AHEAD = "leakproofahead"
"""The public id of the work that everybody may read of."""


def plant_planned(found: Ground, strangers: Strangers, now: datetime) -> None:
    """Put unlikely words in the place of what is internal of planned work, and new work beside what there is."""
    _Planned(found, strangers, now).plant()


class _Planned:
    def __init__(self, found: Ground, strangers: Strangers, now: datetime) -> None:
        self.found, self.strangers, self.now = found, strangers, now
        self.first = last_id(found, Maintenance) + 1
        self.planned: list[Row] = []
        self.updates: list[Row] = []
        self.named: list[Row] = []

    def plant(self) -> None:
        word, strangers = self.found.words.name, self.strangers
        ahead = self._work("ahead", PLAIN, PLAIN, strangers.reached_id)
        self._update(ahead, word("a reminder of planned work"), Notice.REMINDED)
        private = "private work"
        series_id = last_id(self.found, MaintenanceSeries) + 1
        occurrence: Row = {"visibility": Visibility.PRIVATE, "series_id": series_id, "occurs_at": self._starts_at}
        self._work("private", word(private), word(f"the text of {private}"), strangers.reached_id, **occurrence)
        theirs = "work that concerns another company alone"
        self._work(
            "theirs",
            word(theirs),
            word(f"the text of {theirs}"),
            strangers.component_id,
            audience=Audience.AFFECTED,
        )
        self._write()
        self._write_series(series_id)
        self._write_wishes(ahead)
        # Its own secret is made by the walk.
        self.found.copy(CalendarAddress)

    @property
    def _starts_at(self) -> datetime:
        return self.now + timedelta(days=2)

    def _work(self, name: str, title: str, body: str, component_id: int | None, **values: Any) -> int:
        """The id of new work that is ahead, with its first entry."""
        work = {
            **blank(Maintenance),
            "id": self.first + len(self.planned),
            "public_id": f"leakproof{name}",
            "title": title,
            "state": MaintenanceState.SCHEDULED,
            "starts_at": self._starts_at,
            "ends_at": self._starts_at + timedelta(hours=1),
            "announced_at": self.now,
            "created_at": self.now,
            "public_updated_at": self.now,
            "created_by_id": self.strangers.staff_id,
            "owner_id": self.strangers.staff_id,
            **values,
        }
        self.planned.append(say(work, title=title))
        if component_id is not None:
            named: Row = {"maintenance_id": work["id"], "component_id": component_id}
            self.named.append({**blank(MaintenanceComponent), **named})
        self._update(work["id"], body, Notice.ANNOUNCED)
        return int(work["id"])

    def _update(self, maintenance_id: int, body: str, kind: Notice) -> None:
        update = {
            **blank(MaintenanceUpdate),
            "maintenance_id": maintenance_id,
            "public_id": f"leakproof{len(self.updates)}",
            "kind": kind,
            "state": MaintenanceState.SCHEDULED,
            "body": body,
            "posted_at": self.now - timedelta(minutes=10 - len(self.updates)),
            "starts_at": self._starts_at,
            "ends_at": self._starts_at + timedelta(hours=1),
            "notify": True,
            "author_id": self.strangers.staff_id,
        }
        self.updates.append(say(update, body=body))

    def _write(self) -> None:
        found, word = self.found, self.found.words.name
        newest = found.rows(select(Maintenance.__table__).order_by(Maintenance.id.desc()).limit(PLANNED_AT_MOST))
        ids = [row["id"] for row in newest]
        private = {row["id"] for row in newest if row["visibility"] is Visibility.PRIVATE}
        title, text, note = word("private work"), word("the text of private work"), word("a reminder of planned work")
        for row in newest:
            if row["id"] in private:
                say(row, title=title)
        found.copy(Maintenance, [*newest, *self.planned])
        updates = found.rows(select(MaintenanceUpdate.__table__).where(MaintenanceUpdate.maintenance_id.in_(ids)))
        for row in updates:
            if row["kind"] is Notice.REMINDED:
                say(row, body=note)
            elif row["maintenance_id"] in private:
                say(row, body=text)
        first, named = last_id(found, MaintenanceUpdate) + 1, last_id(found, MaintenanceComponent) + 1
        found.copy(
            MaintenanceUpdate,
            [*updates, *({**row, "id": first + number} for number, row in enumerate(self.updates))],
        )
        keep(
            found,
            MaintenanceComponent,
            [{**row, "id": named + number} for number, row in enumerate(self.named)],
            MaintenanceComponent.maintenance_id.in_(ids),
        )

    def _write_series(self, series_id: int) -> None:
        """What private work recurs by."""
        found = self.found
        series = {
            **blank(MaintenanceSeries),
            "id": series_id,
            "public_id": "leakproof",
            "title": found.words.name("what private work recurs by"),
            "body": found.words.name("the text of what private work recurs by"),
            "rule": "FREQ=WEEKLY",
            "starts_on": "2030-01-06T02:00",
            "duration": 60,
            "zone": "UTC",
            "impact": WorkImpact.DEGRADED,
            "visibility": Visibility.PRIVATE,
            "audience": Audience.EVERYONE,
            "notify": False,
            "starts_itself": True,
            "ends_itself": True,
            "created_at": self.now,
            "owner_id": self.strangers.staff_id,
        }
        keep(found, MaintenanceSeries, say(series, title=str(series["title"]), body=str(series["body"])))

    def _write_wishes(self, ahead: int) -> None:
        """What another company asks of planned work, and what it was answered."""
        found, strangers, word = self.found, self.strangers, self.found.words.name
        wish = {
            **blank(SlotRequest),
            "id": last_id(found, SlotRequest) + 1,
            "public_id": "leakproof",
            "maintenance_id": ahead,
            "company_id": strangers.company_id,
            "person_id": strangers.person_id,
            "text": word("another company’s wish for another slot"),
            "state": SlotState.DECLINED,
            "answer": word("the answer to another company’s wish"),
            "answered_at": self.now,
            "answered_by_id": strangers.staff_id,
            "created_at": self.now,
        }
        keep(found, SlotRequest, wish, SlotRequest.company_id == strangers.own_id)
        freeze = {
            **blank(Freeze),
            "id": last_id(found, Freeze) + 1,
            "public_id": "leakprooffreeze",
            "company_id": strangers.company_id,
            "starts_at": self.now,
            "ends_at": self.now + timedelta(days=7),
            "reason": word("why another company wants nothing touched"),
            "created_at": self.now,
            "created_by_id": strangers.person_id,
        }
        keep(found, Freeze, freeze, Freeze.company_id == strangers.own_id)
