"""What is planted about incidents: unlikely words for whatever staff alone or another company may read of one.

Beside those there are stand new ones: one everybody may read, with a private update, wordings for others, a
postmortem nobody has published, and its place in the reach ledger; one with a published postmortem; a private one; one
that concerns another company alone, and one of that company that was merged into the first. Drafts, templates and what
monitors said are staff's.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal.incidents.models import (
    Incident,
    IncidentAcknowledgement,
    IncidentComponent,
    IncidentDraft,
    IncidentFollower,
    IncidentRevision,
    IncidentSighting,
    IncidentTemplate,
    IncidentUpdate,
    IncidentWording,
    Monitor,
    MonitorCondition,
    MonitorMatch,
    Postmortem,
)
from portal.incidents.rules import Audience, Impact, Severity, State, Visibility
from portal.incidents.rules.drafts import DraftContent, Origin
from portal.incidents.rules.monitors import Shape
from portal.incidents.rules.revisions import Revised
from portal.jobs.proof.ground import Ground, Row, blank, say
from portal.jobs.proof.strangers import PLAIN, Strangers, keep, last_id
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import BroadcastState
from portal.searching import key_of

REPORTS_AT_MOST = 200
"""Incidents that the proof looks at; the newest."""

OPEN = "leakproofopen"
"""The public id of the incident that everybody may read."""


def plant_reports(found: Ground, strangers: Strangers, now: datetime) -> None:
    """Put unlikely words in the place of what is internal of incidents, and new ones beside those there are."""
    reports = _Reports(found, strangers, now)
    reports.plant()
    _plant_what_waits(found, strangers, now)


class _Reports:
    def __init__(self, found: Ground, strangers: Strangers, now: datetime) -> None:
        self.found, self.strangers, self.now = found, strangers, now
        self.first = last_id(found, Incident) + 1
        self.incidents: list[Row] = []
        self.updates: list[Row] = []
        self.named: list[Row] = []

    def plant(self) -> None:
        word = self.found.words.name
        shown = self._report(OPEN, PLAIN, PLAIN)
        self._update(shown, word("a private update of an incident"), visibility=Visibility.PRIVATE, state=None)
        over: Row = {"state": State.FIXED, "resolved_at": self.now - timedelta(minutes=1)}
        learnt = self._report("learnt", PLAIN, PLAIN, **over)
        private = "a private incident"
        self._report("private", word(private), word(f"the text of {private}"), visibility=Visibility.PRIVATE)
        theirs = "an incident that concerns another company alone"
        of_them: Row = {"audience": Audience.AFFECTED, "component_id": self.strangers.component_id}
        self._report("theirs", word(theirs), word(f"the text of {theirs}"), **of_them)
        self._report(
            "past", word(f"{theirs}, and is over"), word(f"the text of {theirs}, and is over"), **of_them | over
        )
        merged = "what was merged into an incident and concerned another company alone"
        into: Row = {"merged_into_id": shown, "merged_at": self.now}
        self._report("merged", word(merged), word(f"the text of {merged}"), **of_them | over | into)
        self._write(shown, learnt)

    def _report(self, name: str, title: str, body: str, *, component_id: int | None = None, **values: Any) -> int:
        """The id of a new incident with its first update."""
        incident_id = self.first + len(self.incidents)
        report = {
            **blank(Incident),
            "id": incident_id,
            "public_id": name if name == OPEN else f"leakproof{name}",
            "title": title,
            "title_key": key_of(title),
            "state": State.INVESTIGATING,
            "impact": Impact.NONE,
            "started_at": self.now - timedelta(minutes=20),
            "created_at": self.now - timedelta(minutes=20),
            "public_updated_at": self.now - timedelta(minutes=20),
            "created_by_id": self.strangers.staff_id,
            "owner_id": self.strangers.staff_id,
            **values,
        }
        self.incidents.append(say(report, title=title))
        if component_id is not None:
            named: Row = {"incident_id": incident_id, "component_id": component_id, "severity": Severity.NONE}
            self.named.append({**blank(IncidentComponent), **named})
        self._update(incident_id, body, state=report["state"])
        return incident_id

    def _update(self, incident_id: int, body: str, **values: Any) -> None:
        update = {
            **blank(IncidentUpdate),
            "incident_id": incident_id,
            "public_id": f"leakproof{len(self.updates)}",
            "body": body,
            "posted_at": self.now - timedelta(minutes=20 - len(self.updates)),
            "author_id": self.strangers.staff_id,
            **values,
        }
        self.updates.append(say(update, body=body))

    def _write(self, shown: int, learnt: int) -> None:
        found, word = self.found, self.found.words.name
        newest = found.rows(select(Incident.__table__).order_by(Incident.id.desc()).limit(REPORTS_AT_MOST))
        ids = [row["id"] for row in newest]
        private = {row["id"] for row in newest if row["visibility"] is Visibility.PRIVATE}
        title, text = word("the title of a private incident"), word("the text of a private incident")
        for row in newest:
            if row["id"] in private:
                say(row, title=title, title_key=key_of(title))
        found.copy(Incident, [*newest, *self.incidents])
        note, first = word("a private update"), last_id(found, IncidentUpdate) + 1
        updates = found.rows(select(IncidentUpdate.__table__).where(IncidentUpdate.incident_id.in_(ids)))
        for row in updates:
            if row["visibility"] is Visibility.PRIVATE:
                say(row, body=note)
            elif row["incident_id"] in private:
                say(row, body=text)
        made = [{**row, "id": first + number} for number, row in enumerate(self.updates)]
        found.copy(IncidentUpdate, [*updates, *made])
        named = last_id(found, IncidentComponent) + 1
        keep(
            found,
            IncidentComponent,
            [{**row, "id": named + number} for number, row in enumerate(self.named)],
            IncidentComponent.incident_id.in_(ids),
        )
        self._write_wordings([row["id"] for row in updates], made[0]["id"])
        self._write_postmortems(ids, shown, learnt)
        self._write_changes(ids, shown, made[1]["id"])
        self._write_readers(ids, shown)

    def _write_wordings(self, update_ids: list[int], told_id: int) -> None:
        """What others are told instead; for another company, and at another portal."""
        found, strangers = self.found, self.strangers
        company, portal = (found.words.name(f"what is told {to}") for to in ("another company", "at another portal"))
        rows = found.rows(select(IncidentWording.__table__).where(IncidentWording.update_id.in_(update_ids)))
        for row in rows:
            if row["company_id"] not in (None, strangers.own_id):
                say(row, text=company)
            elif row["domain_id"] not in (None, strangers.domain_id):
                say(row, text=portal)
        first = last_id(found, IncidentWording) + 1
        for number, values in enumerate(
            (
                {"company_id": strangers.company_id, "text": company},
                {"domain_id": strangers.other_domain_id, "text": portal},
            )
        ):
            row = {**blank(IncidentWording), "id": first + number, "update_id": told_id, **values}
            rows.append(say(row, text=str(values["text"])))
        found.copy(IncidentWording, rows)

    def _write_postmortems(self, ids: list[int], shown: int, learnt: int) -> None:
        found = self.found
        text = found.words.name("a postmortem that is not published")
        rows = found.rows(select(Postmortem.__table__).where(Postmortem.incident_id.in_(ids)))
        first = last_id(found, Postmortem) + 1
        made = [
            {
                **blank(Postmortem),
                "id": first + number,
                "incident_id": incident_id,
                "public_id": f"leakproof{number}",
                "body": body,
                "author_id": self.strangers.staff_id,
                "created_at": self.now,
                "changed_at": self.now,
                "published_at": published_at,
            }
            for number, (incident_id, body, published_at) in enumerate(((shown, text, None), (learnt, PLAIN, self.now)))
        ]
        for row in rows:
            if row["published_at"] is None:
                say(row, body=text)
        found.copy(Postmortem, [*rows, *(say(row, body=row["body"]) for row in made)])

    def _write_changes(self, ids: list[int], shown: int, note_id: int) -> None:
        """What a private update and a title said before: versions are for staff."""
        found = self.found
        first = last_id(found, IncidentRevision) + 1
        made = [
            {
                **blank(IncidentRevision),
                "id": first + number,
                "incident_id": shown,
                "what": what,
                "part_id": part_id,
                "before": found.words.name("what stood in an incident before"),
                "after": PLAIN,
                "changed_at": self.now,
                "by_id": self.strangers.staff_id,
                "by_label": found.words.name("who changed an incident"),
            }
            for number, (what, part_id) in enumerate(((Revised.TITLE, 0), (Revised.TEXT, note_id)))
        ]
        keep(found, IncidentRevision, made, IncidentRevision.incident_id.in_(ids))

    def _write_readers(self, ids: list[int], shown: int) -> None:
        """Somebody of another company follows it, had it on a page, says that they know of it, and was mailed."""
        found, strangers = self.found, self.strangers
        person: Row = {
            "incident_id": shown,
            "person_id": strangers.person_id,
            "company_id": strangers.company_id,
        }
        values: Row = {"wants": True, "changed_at": self.now, "seen_at": self.now, "acknowledged_at": self.now}
        for model in (IncidentFollower, IncidentSighting, IncidentAcknowledgement):
            row = {**blank(model), "id": last_id(found, model) + 1, **person}
            row |= {name: value for name, value in values.items() if name in row}
            whose: Any = model
            keep(found, model, row, whose.incident_id.in_(ids))
        title = found.words.name("the title of a mail to others")
        broadcast = {
            **blank(Broadcast),
            "id": 1,
            "idempotency_key": "leakproof",
            "kind": "incident",
            "title": title,
            "title_key": key_of(title),
            "selector": {},
            "content": {},
            "thread_key": "leakproof",
            "topic": "incidents",
            "state": BroadcastState.DONE,
            "expires_at": self.now,
            "created_at": self.now,
            "expanded_at": self.now,
        }
        delivery = {
            **blank(Delivery),
            "id": 1,
            "broadcast_id": 1,
            "dedupe_key": "leakproof",
            "message_id": "leakproof",
            "person_id": strangers.person_id,
            "address": f"{found.words.name('the address a mail to others went to')}@leak.example",
            "values": {},
        }
        found.copy(Broadcast, [broadcast])
        found.copy(Delivery, [delivery])


def _plant_what_waits(found: Ground, strangers: Strangers, now: datetime) -> None:
    """A draft, a template, and a monitor with its words and what it said: for staff, all of it."""
    word = found.words.name
    title = word("the title of a draft")
    draft = {
        **blank(IncidentDraft),
        "id": 1,
        "idempotency_key": "leakproof",
        "title": title,
        "content": DraftContent(title=title, body=word("the text of a draft"), severities={}).to_json(),
        "origin": Origin.MONITOR,
        "origin_name": word("where a draft came from"),
        "first_signal": word("what a monitor said first"),
        "last_signal": word("what a monitor said last"),
        "trouble": word("why a draft could not be published"),
        "created_at": now,
        "saved_at": now,
        "owner_id": strangers.staff_id,
    }
    template = {
        **blank(IncidentTemplate),
        "id": 1,
        "name": word("the name of a template"),
        "title": word("the title of a template"),
        "body": word("the text of a template"),
        "created_at": now,
    }
    monitor = {
        **blank(Monitor),
        "id": 1,
        "name": word("the name of a monitor"),
        "shape": Shape.GRAFANA,
        "key_hash": "leakproof",
        "hint": "leakproof",
        "severity": Severity.PARTIAL_RTH,
        "created_at": now,
        "last_trouble": word("why a monitor was not understood"),
    }
    match = {
        **blank(MonitorMatch),
        "id": 1,
        "monitor_id": 1,
        "word": word("a word of a monitor"),
        "component_id": strangers.component_id,
        "severity": Severity.PARTIAL_RTH,
    }
    condition = {
        **blank(MonitorCondition),
        "id": 1,
        "monitor_id": 1,
        "fold": "leakproof",
        "title": word("what a monitor calls what is wrong"),
        "text": word("what a monitor says of what is wrong"),
        "first_at": now,
        "last_at": now,
        "draft_id": 1,
    }
    for model, row in (
        (IncidentDraft, draft),
        (IncidentTemplate, say(template, title=template["title"], body=template["body"])),
        (Monitor, monitor),
        (MonitorMatch, match),
        (MonitorCondition, condition),
    ):
        found.copy(model, [row])
