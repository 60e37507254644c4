"""What leaves the portal by itself: the mails a company's people would get, as they would be sent, and exports."""

import io
import json
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default
from typing import NamedTuple
from zipfile import ZipFile

from flask import current_app
from flask_babel import force_locale
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import joinedload

from portal.accounts.models import AccountMail, MailedLink, Membership, Person
from portal.accounts.rules import Viewpoint, text_key
from portal.accounts.rules.links import Letter as AccountLetter
from portal.accounts.rules.links import Purpose
from portal.audit.rules import SYSTEM
from portal.catalogue.notices.letters import content_of
from portal.config import Settings
from portal.domains.announcements.models import Announcement
from portal.domains.models import PortalHost
from portal.extensions import db
from portal.incidents.actions import KIND as INCIDENT
from portal.incidents.actions import compose
from portal.incidents.actions.announcing import tell
from portal.incidents.actions.telling import queue_mail
from portal.incidents.letters import Work
from portal.incidents.letters import content_of as wordings_of_work
from portal.incidents.models import Incident, IncidentUpdate, Maintenance, MaintenanceUpdate
from portal.incidents.queries import open_incidents, recently_fixed, updates_for, visible_incident
from portal.incidents.rules import MaintenanceState, Visibility
from portal.incidents.rules.maintenance import Notice, WorkImpact
from portal.jobs import letters
from portal.jobs.models import WorkItem
from portal.jobs.proof.ground import Ground
from portal.jobs.proof.planned import AHEAD
from portal.jobs.proof.reports import OPEN
from portal.jobs.proof.strangers import STANDS
from portal.jobs.proof.walking import NOTHING, TIME_WAS_UP, Guest, Look, Sort
from portal.jobs.queries.offers import answers_of
from portal.jobs.queries.public import shown_status
from portal.jobs.queries.settings import settings_of
from portal.jobs.rules import WorkKind
from portal.language import known
from portal.notifications.account_mails import write_account_mails
from portal.notifications.actions import values_of
from portal.notifications.channels.rules import MAIL
from portal.notifications.compose import Letter, Wording
from portal.notifications.kinds import BUILT_IN, Content, Kind, Listener, Recipient, kind_named, language_of, registered
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.queries import homes_of
from portal.notifications.rules import name_key, thread_root
from portal.notifications.subscribers import announcing
from portal.notifications.subscribers import letters as subscriptions
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import Conversation, SubscriberKind, SubscriberSource, SubscriberState
from portal.notifications.wordings import render_wordings
from portal.records.exports import write_all
from portal.records.rules.exports import ExportKind
from portal.services.letters import BY_STATUS, DIGEST, variant_of
from portal.services.letters import content_of as wordings_of_statuses
from portal.services.mails import SERVICE_STATUS, TEST
from portal.services.specimen import specimen_of

log = logging.getLogger(__name__)

ITEMS_AT_MOST = 40
"""Items of each kind about which mails are written; the newest."""

PEOPLE_AT_MOST = 5
"""People of the company whose own exports are looked through."""

SAMPLE = {"en": {"subject": "Leak proof", "body": "Leak proof for {{name}} of {{company}}"}}
"""A notice as staff might type it."""


FOLLOWED_INCIDENT = Conversation("incident:leak-proof", "incidents")
"""What a letter asks about that asks whether one incident is to be followed: there need be none."""

FOLLOWED, MAINTENANCE, ANSWER = "incident_followed", "maintenance", "slot_answer"

STATES = {
    Notice.STARTED: MaintenanceState.IN_PROGRESS,
    Notice.VERIFYING: MaintenanceState.VERIFYING,
    Notice.EXTENDED: MaintenanceState.IN_PROGRESS,
    Notice.COMPLETED: MaintenanceState.COMPLETED,
    Notice.CANCELLED: MaintenanceState.CANCELLED,
}
"""How the work stands in a mail of each sort; in all others it is planned."""


@dataclass(frozen=True)
class Post:
    """A mail that is to be written: the wordings there are, and what one reader's is filled with."""

    kind: str
    title: str
    content: Content
    wording: str
    values: Mapping[str, str]
    thread: str


class Sample(NamedTuple):
    """A mail of an upper capability as it would be written about the company: its kind, and its wordings."""

    kind: str
    title: str
    content: Content


Samples = Callable[[int, datetime], Iterator[Sample]]
"""What an upper capability mails a company about: by its id, at this moment."""

_samples: dict[str, Samples] = {}


def register_samples(name: str, samples: Samples) -> None:
    """Have the mails of an upper capability looked through too; registering the name again replaces them."""
    _samples[name] = samples


class Posting:
    """Mails and exports about a company. `troubles` are kinds of them that could not be made, with why."""

    def __init__(self, found: Ground, guest: Guest, now: datetime) -> None:
        self.found, self.guest, self.now = found, guest, now
        self.settings: Settings = current_app.config["SETTINGS"]
        self.troubles: dict[str, str] = {}
        self._written: set[str] = set()
        self._calls: list[Look] = []

    # Mails

    def mails(self) -> Iterator[Look]:
        """Every kind of mail the company's people get, as they would be sent."""
        sources: Sequence[Callable[[], Iterator[Post]]] = (
            self._about_work,
            self._about_accounts,
            self._about_subscriptions,
            self._about_incidents,
            self._about_maintenance,
            self._about_announcements,
            self._about_planned_work,
            self._about_others,
            self._about_what_stands_above,
        )
        for source in sources:
            with self.found.standing():
                for post in source():
                    if self.found.is_over:
                        self.troubles[f"the mail “{post.title}”"] = TIME_WAS_UP
                        return
                    yield from self._sent(post)
        yield from self._calls
        for kind in registered():
            if not kind.is_for_staff and kind.name not in self._written:
                self.troubles.setdefault(f"mails of the kind “{kind.name}”", NOTHING)

    def _sent(self, post: Post) -> Iterator[Look]:
        where = f"the mail “{post.title}”"
        kind = kind_named(post.kind)
        try:
            late = kind.late_values(post.values, self.now) if kind.late_values else {}
            text = self._as_sent(kind, post, {**post.values, **late})
        except Exception as trouble:
            log.warning("the leak proof could not write %s", where, exc_info=trouble)
            self.troubles[where] = f"it could not be written: {type(trouble).__name__}"
            return
        self._written.add(post.kind)
        yield Look(Sort.MAIL, where, text)

    def _as_sent(self, kind: Kind, post: Post, values: Mapping[str, str]) -> str:
        domain, address = self.settings.mail_domain, self.guest.email
        chosen = post.content[post.wording]
        with force_locale(language_of(post.wording)):
            wording = Wording(
                chosen,
                kind.names,
                mail_from=f"portal@{domain}",
                list_name=str(kind.label),
                list_id=f"{kind.topic}.{domain}" if kind.is_list else "",
                feedback_id=f"1:{kind.name}:{kind.topic}:{domain}",
            )
        root = thread_root(name_key(self.settings.secret_key), post.thread, text_key(address), domain)
        mail = wording.fill(Letter(f"<leak-proof@{domain}>", root, address, values["name"], self.now, values))
        read = message_from_bytes(mail, policy=default)
        parts = [part.get_content() for part in read.walk() if not part.is_multipart()]
        return "\n".join([*(f"{name}: {value}" for name, value in read.items()), *parts, *chosen.values()])

    def _about_work(self) -> Iterator[Post]:
        """A change of status one by one and several at once, a message, and the receipts of answers."""
        before = self._last()
        for kind in WorkKind:
            table = settings_of(kind).table
            items = db.session.scalars(
                select(WorkItem)
                .where(
                    WorkItem.kind == kind,
                    WorkItem.company_id == self.guest.company_id,
                    WorkItem.public_status_id.is_not(None),
                )
                .order_by(WorkItem.id.desc())
                .limit(ITEMS_AT_MOST)
            ).all()
            readers = letters.readers_of(items) if items else {}
            told = [(item, shown_status(table, item.public_status_id or 0).name) for item in items]
            for item, status in told:
                for reader in readers[item.id][:1]:
                    letters.mail_statuses(kind, reader, [(item, status)], self.now)
            for reader in {each.id: each for item in items for each in readers[item.id]}.values():
                letters.mail_statuses(kind, reader, told, self.now + timedelta(seconds=1))
            for item in items[:1]:
                letters.mail_message(item, author="Leak proof", body="Leak proof", files=[], key="leak", now=self.now)
            if kind is WorkKind.QUOTE:
                self._receipts(items)
        yield from self._queued(before)

    def _receipts(self, items: Sequence[WorkItem]) -> None:
        person = db.session.get_one(Person, self.guest.person_id)
        for item in items:
            for answer in answers_of(item.id):
                letters.mail_receipt(item, answer, person, self.now)

    def _about_accounts(self) -> Iterator[Post]:
        """Every letter about an account, to the person who looks."""
        before = self._last()
        purposes = {each.value: each for each in Purpose}
        links = {each.purpose: each.id for each in db.session.scalars(select(MailedLink))}
        purposes["email-changed"] = Purpose.EMAIL_UNDO
        for letter in AccountLetter:
            db.session.add(
                AccountMail(
                    kind=letter,
                    address=self.guest.email,
                    person_id=self.guest.person_id,
                    link_id=links.get(purposes[letter.value]) if letter.value in purposes else None,
                    host=self.guest.host,
                    details={"company_id": self.guest.company_id, "ip": "127.0.0.1", "new": self.guest.email},
                    created_at=self.now,
                )
            )
        db.session.flush()
        write_account_mails(self.now)
        yield from self._queued(before)

    def _about_subscriptions(self) -> Iterator[Post]:
        """Every letter to somebody without a login, on the portal the company looks at."""
        before = self._last()
        domain_id = db.session.scalar(select(PortalHost.domain_id).where(PortalHost.host == self.guest.host))
        if domain_id is None:
            return
        for letter in subscriptions.Letter:
            is_new = letter is subscriptions.Letter.CONFIRM
            subscriber = Subscriber(
                domain_id=domain_id,
                kind=SubscriberKind.EMAIL,
                key=secrets.token_hex(16),
                address=self.guest.email,
                address_key=text_key(self.guest.email),
                state=SubscriberState.UNCONFIRMED if is_new else SubscriberState.ACTIVE,
                source=SubscriberSource.PAGE,
                created_at=self.now,
                asked_at=self.now,
            )
            db.session.add(subscriber)
            db.session.flush()
            followed = FOLLOWED_INCIDENT if letter is subscriptions.Letter.FOLLOW else None
            subscriptions.write_to(subscriber, letter, self.now, conversation=followed, title="Leak proof")
        yield from self._queued(before)

    def _about_incidents(self) -> Iterator[Post]:
        """The update that others are told in words of their own, as it is written down for whoever hears of it."""
        before = self._last()
        update = db.session.scalars(
            select(IncidentUpdate)
            .join(Incident, Incident.id == IncidentUpdate.incident_id)
            .options(joinedload(IncidentUpdate.incident))
            .where(Incident.public_id == OPEN, IncidentUpdate.visibility == Visibility.PUBLIC)
        ).one()
        queue_mail(update.incident, update, [], mail_affected_only=False, by=SYSTEM, now=self.now)
        yield from self._queued(before, theirs_alone=True)
        self._told(before)

    def _about_maintenance(self) -> Iterator[Post]:
        """The news of planned work that reaches this company and another, with each one's own account and circuits."""
        before = self._last()
        planned = db.session.scalars(select(Maintenance).where(Maintenance.public_id == AHEAD)).one()
        of_planned = MaintenanceUpdate.maintenance_id == planned.id, MaintenanceUpdate.kind == Notice.ANNOUNCED
        tell(planned, db.session.scalars(select(MaintenanceUpdate).where(*of_planned)).one(), by=SYSTEM, now=self.now)
        yield from self._queued(before, theirs_alone=True)
        self._told(before)

    def _about_announcements(self) -> Iterator[Post]:
        """An announcement that stands, as subscribers are told of it."""
        before = self._last()
        announcing.tell(
            db.session.scalars(select(Announcement.id).where(Announcement.public_id == STANDS)).one(), self.now
        )
        for broadcast in db.session.scalars(select(Broadcast).where(Broadcast.id > before)).all():
            yield from self._typed(broadcast.kind, broadcast.title, broadcast.content)
        self._told(before)

    def _told(self, before: int) -> None:
        """Note what channels of the company beside mail are told of what has been queued since."""
        listener = Listener(0, (self.guest.company_id,), "en", "UTC")
        for broadcast in db.session.scalars(select(Broadcast).where(Broadcast.id > before).order_by(Broadcast.id)):
            kind = kind_named(broadcast.kind)
            for told in (kind.tell(broadcast.selector, [listener], self.now) if kind.tell else {}).values():
                said = json.dumps([told.event, told.data, dict(told.values), told.path], default=str)
                self._calls.append(Look(Sort.CALL, f"the call of a webhook about “{broadcast.title}”", said))

    def _about_planned_work(self) -> Iterator[Post]:
        """A mail of every sort about planned work, and both answers to who asked for another slot."""
        begin = self.now + timedelta(days=1)
        for notice in Notice:
            state = STATES.get(notice, MaintenanceState.SCHEDULED)
            ahead = Work(
                public_id="leak-proof",
                title="Leak proof",
                state=state,
                notice=notice,
                impact=WorkImpact.OUTAGE,
                starts_at=begin,
                ends_at=begin + timedelta(hours=1),
                components=["Leak proof"],
                body="Leak proof",
                told_at=self.now,
                sequence=1,
            )
            yield from self._typed(MAINTENANCE, f"Leak proof of maintenance {notice.value}", wordings_of_work(ahead))
        for is_accepted in (True, False):
            content = render_wordings(
                ANSWER, is_moved=is_accepted, is_accepted=is_accepted, has_answer=True, public_id="leak-proof"
            )
            yield from self._typed(ANSWER, f"Leak proof of an answer about another slot, {is_accepted}", content)

    def _about_others(self) -> Iterator[Post]:
        """An update of an incident, every mail about a service status, and a notice."""
        viewpoint = Viewpoint(company_id=self.guest.company_id)
        last = [visible_incident(viewpoint, row.public_id, self.now) for row in recently_fixed(viewpoint, 1, self.now)]
        incidents = [each for each in (*open_incidents(viewpoint, self.now), *last) if each is not None]
        for incident in incidents[:1]:
            components = [each.component_id for each in incident.components]
            for update in updates_for(viewpoint, incident)[:1]:
                content = compose(incident, update, components)
                for name in (INCIDENT, FOLLOWED):
                    yield from self._typed(name, incident.title, content)
        for template in (*BY_STATUS.values(), DIGEST):
            facts = replace(specimen_of(template, None, self.now).facts, entry=None)
            content = wordings_of_statuses(facts, [variant_of(())])
            for name in (SERVICE_STATUS.name, TEST):
                yield from self._typed(name, f"Leak proof of {template} as {name}", content)
        content = content_of(SAMPLE)
        for name in ("notice", "notice_test"):
            yield from self._typed(name, f"Leak proof of the kind {name}", content)

    def _about_what_stands_above(self) -> Iterator[Post]:
        for samples in _samples.values():
            for each in samples(self.guest.company_id, self.now):
                yield from self._typed(each.kind, each.title, each.content)

    def _typed(self, name: str, title: str, content: Content) -> Iterator[Post]:
        """A mail to the person who looks, in every wording there is."""
        kind, guest = kind_named(name), self.guest
        person = db.session.get_one(Person, guest.person_id)
        filled = dict.fromkeys(kind.names - BUILT_IN, "")
        who = Recipient(person.id, (guest.company_id,), person.email, person.name, known(person.language), filled)
        home = homes_of([guest.company_id]).get(guest.company_id)
        values = values_of(who, kind.topic, home, self.settings)
        yield from (Post(name, title, content, wording, values, f"{name}:1") for wording in content)

    def _last(self) -> int:
        return db.session.scalar(select(func.max(Broadcast.id))) or 0

    def _queued(self, before: int, *, theirs_alone: bool = False) -> Iterator[Post]:
        """What has been queued since, one for each reader; or those alone who act for the company or have no login."""
        members = select(Membership.person_id).where(Membership.company_id == self.guest.company_id)
        wanted: list[ColumnElement[bool]] = (
            [Delivery.person_id.is_(None) | Delivery.person_id.in_(members)] if theirs_alone else []
        )
        wanted.append(Delivery.channel == MAIL)
        rows = db.session.execute(
            select(
                Broadcast.kind,
                Broadcast.title,
                Broadcast.content,
                Broadcast.thread_key,
                Delivery.wording,
                Delivery.values,
            )
            .join(Delivery, Delivery.broadcast_id == Broadcast.id)
            .where(Broadcast.id > before, *wanted)
            .order_by(Delivery.id)
        ).all()
        for kind, title, content, thread, wording, values in rows:
            yield Post(kind, title, content, wording, values, thread)

    # Exports

    def exports(self) -> Iterator[Look]:
        """What goes out about the company, and about some of its people: every file of each archive."""
        with self.found.standing():
            of_company = Membership.company_id == self.guest.company_id
            people = select(Membership.person_id).where(of_company).order_by(Membership.person_id).limit(PEOPLE_AT_MOST)
            wanted = [(ExportKind.COMPANY, self.guest.company_id)]
            wanted += [(ExportKind.PERSON, person_id) for person_id in db.session.scalars(people)]
            for kind, subject_id in wanted:
                yield from self._export(kind, subject_id)

    def _export(self, kind: ExportKind, subject_id: int) -> Iterator[Look]:
        target = io.BytesIO()
        try:
            for _rows in write_all(target, kind, subject_id, self.now):
                if self.found.is_over:
                    self.troubles[f"the export of a {kind.value}"] = TIME_WAS_UP
                    return
        except Exception as trouble:
            log.warning("the leak proof could not make the export of a %s", kind.value, exc_info=trouble)
            self.troubles[f"the export of a {kind.value}"] = f"it could not be made: {type(trouble).__name__}"
            return
        with ZipFile(target) as archive:
            for name in archive.namelist():
                text = archive.read(name).decode("utf-8", "replace")
                yield Look(Sort.EXPORT, f"{name} in the export of {kind.value} #{subject_id}", f"{name}\n{text}")
