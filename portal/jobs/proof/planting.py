"""What is planted on the ground of a leak proof: unlikely words for all that is the office's own, and work in every
status, whatever the company has."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from flask import current_app
from sqlalchemy import Table, bindparam, func, select

from portal.accounts.models import AccountMail, ApiToken, MailedLink, Membership, Session
from portal.extensions import db
from portal.files.models import StoredFile
from portal.jobs.models import QuoteAnswer, QuoteOffer, SavedView, WorkItem, WorkMove, WorkStatus, WorkTableRevision
from portal.jobs.proof.ground import ROWS_AT_MOST, Ground, Row, blank
from portal.jobs.proof.planned import plant_planned
from portal.jobs.proof.reports import plant_reports
from portal.jobs.proof.strangers import plant_strangers
from portal.jobs.proof.words import Words
from portal.jobs.queries.settings import table_of
from portal.jobs.queries.views import views_of
from portal.jobs.rules import Role, StatusTable, Unseen, WorkKind, resolve, written_number
from portal.jobs.rules.offers import Offered
from portal.messages.models import Message, Thread
from portal.searching import key_of

ITEMS_AT_MOST = 60
"""Items of each kind that the company is left with; the newest. One in every status comes on top."""

RATHER_OLD = timedelta(days=30)
"""How long ago the items began that are made for the proof."""


def plant(found: Ground, company_id: int, person_id: int, now: datetime) -> None:
    """Put unlikely words in the place of everything internal, and an item of the company in every work status."""
    _plant_statuses(found)
    made = _plant_work(found, company_id, now)
    _plant_offers(found, company_id, person_id, made)
    _plant_talk(found, company_id)
    _plant_views(found)
    _let_in(found, company_id, person_id)
    strangers = plant_strangers(found, company_id, person_id, now)
    plant_reports(found, strangers, now)
    plant_planned(found, strangers, now)


def _plant_statuses(found: Ground) -> None:
    words = found.words
    rows = found.rows(select(WorkStatus.__table__).order_by(WorkStatus.kind, WorkStatus.position, WorkStatus.id))
    for asset in current_app.extensions["assets"].values():
        if asset.mimetype == "text/css":
            words.avoid(asset.body.decode())
    for row in rows:
        words.avoid(f"{row['color']} {row['portal_color']}")
    place = 200_000_000 + secrets.randbelow(100_000_000)
    names: dict[int, tuple[str, str]] = {}
    for row in rows:
        called = f"“{row['name']}”"
        name, color = words.name(f"the name of {called}"), words.color(f"the colour of {called}")
        names[row["id"]] = name, color
        place += 1 + secrets.randbelow(1_000_000)
        words.number(place, f"the place of {called}")
        # Without a colour of their own customers are shown the internal one, and may be.
        row["portal_color"] = row["portal_color"] or row["color"]
        row |= {"name": name, "name_key": key_of(name), "color": color, "position": place}
    saves = found.rows(select(WorkTableRevision.__table__))
    for save in saves:
        save["statuses"] = [_planted(each, names, found.words) for each in save["statuses"]]
    found.copy(WorkStatus, rows)
    found.copy(WorkTableRevision, saves)


def _planted(status: Mapping[str, Any], names: dict[int, tuple[str, str]], words: Words) -> Row:
    """A status as it was saved before, with the words that stand for it today; one that is gone gets words too."""
    called = f"“{status['name']}”, as it was"
    known = names.get(status["id"])
    if known is None:
        known = names[status["id"]] = words.name(f"the name of {called}"), words.color(f"the colour of {called}")
    shown = status["portal_color"] or status["color"]
    return {**status, "name": known[0], "color": known[1], "portal_color": shown}


def _plant_work(found: Ground, company_id: int, now: datetime) -> Sequence[Row]:
    """The newest items of the company, and one in each status that went through all the others before: these are
    returned."""
    items = [
        row
        for kind in WorkKind
        for row in found.rows(
            select(WorkItem.__table__)
            .where(WorkItem.company_id == company_id, WorkItem.kind == kind)
            .order_by(WorkItem.id.desc())
            .limit(ITEMS_AT_MOST)
        )
    ]
    moves = found.rows(
        select(WorkMove.__table__)
        .where(WorkMove.item_id.in_([row["id"] for row in items]))
        .order_by(WorkMove.id.desc())
        .limit(ROWS_AT_MOST)
    )
    tables = _tables(found)
    made, further = _in_every_status(found, company_id, tables, now)
    reason, by_name = found.words.name("the reason of a move"), found.words.name("who made a move")
    found.copy(WorkItem, [*items, *made])
    found.copy(WorkMove, [{**row, "reason": reason, "by_name": by_name} for row in (*moves, *further)])
    _show(found, made, tables)
    return made


def _plant_offers(found: Ground, company_id: int, person_id: int, made: Sequence[Row]) -> None:
    """What was offered and answered: of the quotes that were made those that wait for no answer have one, by turns that
    they are accepted and that they are not."""
    theirs = select(WorkItem.id).where(WorkItem.company_id == company_id)
    offers = found.rows(select(QuoteOffer.__table__).where(QuoteOffer.item_id.in_(theirs)))
    answers = found.rows(select(QuoteAnswer.__table__).where(QuoteAnswer.item_id.in_(theirs)))
    scalar = found.connection.scalar
    sent_id = scalar(select(WorkStatus.id).where(WorkStatus.kind == WorkKind.QUOTE, WorkStatus.role == Role.SENT))
    offer_id, answer_id = scalar(select(func.max(QuoteOffer.id))) or 0, scalar(select(func.max(QuoteAnswer.id))) or 0
    for number, item in enumerate((each for each in made if each["kind"] is WorkKind.QUOTE), start=1):
        offers.append(_offer(offer_id + number, item))
        if item["status_id"] != sent_id:
            answers.append(_answer(answer_id + number, offers[-1], person_id, is_accepted=number % 2 == 0))
    why = found.words.name("why an answer was taken back")
    found.copy(QuoteOffer, offers)
    found.copy(QuoteAnswer, [{**row, "withdrawn_reason": why} for row in answers])


def _offer(offer_id: int, item: Row) -> Row:
    offered = Offered(
        number=written_number(item["kind"], item["number"]),
        title=item["title"],
        description="",
        site="",
        currency=item["currency"],
        valid_until=None,
        terms="",
        lines=(),
    )
    return {
        **blank(QuoteOffer),
        "id": offer_id,
        "item_id": item["id"],
        "number": 1,
        "content": offered.to_json(),
        "hash": offered.hash,
        "sent_at": item["created_at"],
    }


def _answer(answer_id: int, offer: Row, person_id: int, *, is_accepted: bool) -> Row:
    return {
        **blank(QuoteAnswer),
        "id": answer_id,
        "item_id": offer["item_id"],
        "offer_id": offer["id"],
        "is_accepted": is_accepted,
        "name": "Leak proof",
        "signature": {"typed": "Leak proof"} if is_accepted else None,
        "person_id": person_id,
        "at": offer["sent_at"],
    }


def _tables(found: Ground) -> dict[WorkKind, StatusTable]:
    with found.standing():
        statuses = db.session.scalars(select(WorkStatus).order_by(WorkStatus.position)).all()
        return {kind: table_of(kind, [each for each in statuses if each.kind is kind]) for kind in WorkKind}


@dataclass
class _Maker:
    """Makes an item of the company in each work status, which went through all the others before."""

    company_id: int
    now: datetime
    item_id: int
    move_id: int
    items: list[Row] = field(default_factory=list)
    moves: list[Row] = field(default_factory=list)

    def make(self, table: StatusTable, number: int, revision: int) -> None:
        """One for each status of a table, with the numbers after this one."""
        for row in table.rows:
            self.item_id, number = self.item_id + 1, number + 1
            self._item(table.kind, number, row.id)
            for step, status_id in enumerate([*(each.id for each in table.rows if each.id != row.id), row.id]):
                self._move(table, status_id, revision, self.now - RATHER_OLD + timedelta(minutes=step))

    def _item(self, kind: WorkKind, number: int, status_id: int) -> None:
        title = "Leak proof"
        self.items.append(
            {
                **blank(WorkItem),
                "id": self.item_id,
                "kind": kind,
                "number": number,
                "company_id": self.company_id,
                "title": title,
                "title_key": key_of(title),
                "status_id": status_id,
                "status_since": self.now,
                "created_at": self.now - RATHER_OLD,
            }
        )

    def _move(self, table: StatusTable, status_id: int, revision: int, at: datetime) -> None:
        self.move_id += 1
        told = resolve(table, status_id)
        self.moves.append(
            {
                **blank(WorkMove),
                "id": self.move_id,
                "item_id": self.item_id,
                "status_id": status_id,
                "at": at,
                "revision": revision,
                "told_status_id": None if isinstance(told, Unseen) else told.id,
            }
        )


def _in_every_status(
    found: Ground, company_id: int, tables: Mapping[WorkKind, StatusTable], now: datetime
) -> tuple[list[Row], list[Row]]:
    """An item of the company for each work status, and the moves that led it there."""
    scalar = found.connection.scalar
    last_item, last_move = scalar(select(func.max(WorkItem.id))), scalar(select(func.max(WorkMove.id)))
    maker = _Maker(company_id, now, last_item or 0, last_move or 0)
    for kind, table in tables.items():
        number = scalar(select(func.max(WorkItem.number)).where(WorkItem.kind == kind))
        revision = scalar(select(func.max(WorkTableRevision.number)).where(WorkTableRevision.kind == kind))
        maker.make(table, number or 0, revision or 1)
    return maker.items, maker.moves


def _show(found: Ground, made: Sequence[Row], tables: Mapping[WorkKind, StatusTable]) -> None:
    """Store of the new items what their customer may know, as whoever moves one does."""
    shown: list[Row] = []
    with found.standing():
        for kind, table in tables.items():
            views = views_of(kind, [row["id"] for row in made if row["kind"] is kind], table)
            shown += [
                {"of_item": item_id, "now_shown": view.status.id, "now_since": view.since}
                for item_id, view in views.items()
                if view.status is not None
            ]
    if shown:
        values: dict[str, Any] = {"public_status_id": bindparam("now_shown"), "public_since": bindparam("now_since")}
        of_item = WorkItem.id == bindparam("of_item")
        found.connection.execute(cast(Table, WorkItem.__table__).update().where(of_item).values(values), shown)


def _plant_talk(found: Ground, company_id: int) -> None:
    """Notes of staff to staff, and the files that only they see."""
    words = found.words
    threads = select(Thread.id).where(Thread.company_id == company_id)
    notes = found.rows(
        select(Message.__table__).where(Message.thread_id.in_(threads)).order_by(Message.id.desc()).limit(ROWS_AT_MOST)
    )
    files = found.rows(
        select(StoredFile.__table__)
        .where(StoredFile.company_id == company_id)
        .order_by(StoredFile.id.desc())
        .limit(ROWS_AT_MOST)
    )
    note = {"body": words.name("an internal note"), "author_name": words.name("who wrote an internal note")}
    file = {"name": words.name("an internal file") + ".pdf", "uploader_name": words.name("who added an internal file")}
    found.copy(Message, [{**row, **note} if row["is_internal"] else row for row in notes])
    found.copy(StoredFile, [{**row, **file} if row["is_internal"] else row for row in files])


def _plant_views(found: Ground) -> None:
    rows = found.rows(select(SavedView.__table__).limit(ROWS_AT_MOST))
    called = found.words.name("the name of a saved view")
    found.copy(SavedView, [{**row, "name": called} for row in rows])


def _let_in(found: Ground, company_id: int, person_id: int) -> None:
    """Make the person a contact, who may open every page there is, and have room for what opens doors and for mails."""
    theirs = (Membership.person_id == person_id) | (Membership.company_id == company_id)
    memberships = found.rows(select(Membership.__table__).where(theirs).order_by(Membership.id).limit(ROWS_AT_MOST))
    for row in memberships:
        row["is_contact"] = row["is_contact"] or row["person_id"] == person_id
    found.copy(Membership, memberships)
    for model in (Session, ApiToken, MailedLink, AccountMail):
        found.copy(model)
