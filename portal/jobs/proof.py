"""The leak proof: unlikely internal words are planted, everything a company's people can open is rendered, and every
place where one of them surfaces is reported. Nothing of it stays.

Planted are the internal name and colour of every work status, and the reasons and names of every move of the company's
items. The order is not: the office decides one order for both sides.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import current_app, g
from sqlalchemy import event, func, select, update
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from portal.accounts.actions import open_session
from portal.accounts.models import Membership, Person
from portal.database import read_only
from portal.domains.models import PortalDomain
from portal.domains.queries import home_of
from portal.errors import RuleViolation
from portal.extensions import db
from portal.jobs import letters
from portal.jobs.models import WorkItem, WorkMove, WorkStatus
from portal.jobs.queries.public import shown_status
from portal.jobs.queries.settings import settings_of
from portal.jobs.rules import PLURALS, WorkKind, written_number
from portal.notifications.models import Broadcast, Delivery

ITEMS_AT_MOST = 25
"""Items of each kind whose pages are rendered; the newest."""

AUDIENCES = ("customer_", "public_")
"""What the names of blueprints begin with whose pages customers can open."""

BESIDE = ("", "/accept", "/decline")
"""Pages of a quote, after its number."""


@dataclass(frozen=True)
class Leak:
    """Something internal was found: where (an address, or a mail), and what it was."""

    where: str
    what: str


@dataclass(frozen=True)
class Proof:
    """What the proof came to: the pages, fragments and mails that were looked at, and what was found in them."""

    looked_at: tuple[str, ...]
    leaks: tuple[Leak, ...]


class _CommitError(RuntimeError):
    """Something wanted to keep what the proof had planted."""


def prove(company_id: int, now: datetime, *, secure_cookie: bool = False) -> Proof:
    """Look through everything the people of this company can open, and everything they would be mailed.

    Runs in a transaction of its own that is always given up, and that nobody can commit; to be called where nothing
    waits to be committed. RuleViolation when the company has no people or no portal to look at. `secure_cookie` is
    whether the installation answers on https.
    """
    home = home_of(company_id)
    person = db.session.scalars(
        select(Person)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.company_id == company_id, Person.deactivated_at.is_(None))
        .order_by(Person.id)
        .limit(1)
    ).one_or_none()
    if home is None or person is None:
        raise RuleViolation("Choose a company that has a home portal and somebody who signs in.")
    db.session.rollback()
    with _given_up():
        return _proved(db.session.merge(home, load=True), person.id, company_id, now, secure_cookie)


def _proved(home: PortalDomain, person_id: int, company_id: int, now: datetime, secure_cookie: bool) -> Proof:
    host, base_url, cookie_name = home.host, home.base_url, "__Host-sid" if secure_cookie else "sid"
    planted: dict[str, str] = {}
    looked_at: list[str] = []
    leaks: list[Leak] = []
    token = ""
    for path in list(_paths(company_id)):
        for headers in ({}, {"HX-Request": "true"}):
            if not _stands(planted):
                # The first page, or one before it has given up its transaction.
                token = _sign_in(person_id, company_id, host, now)
                planted = _plant(company_id)
            cookie = {"Cookie": f"{cookie_name}={token}", "X-Background": "1"}
            is_there, text = _rendered(base_url, path, {**cookie, **headers})
            looked_at += [path] if is_there else []
            leaks += [Leak(path, what) for what, words in planted.items() if words in text]
    if not _stands(planted):
        planted = _plant(company_id)
    for where, text in _mails(company_id, now):
        looked_at.append(where)
        leaks += [Leak(where, what) for what, words in planted.items() if words in text]
    return Proof(tuple(looked_at), tuple(dict.fromkeys(leaks)))


def _sign_in(person_id: int, company_id: int, host: str, now: datetime) -> str:
    """A session of somebody of the company, as one of its contacts: they may open every page there is."""
    membership = select(Membership).where(Membership.person_id == person_id, Membership.company_id == company_id)
    db.session.scalars(membership).one().is_contact = True
    person = db.session.get_one(Person, person_id)
    return open_session(person, company_id, host, ip="127.0.0.1", user_agent="leak proof", now=now)


def _stands(planted: dict[str, str]) -> bool:
    """Whether what was planted is still there."""
    first = db.session.scalar(select(WorkStatus.name).order_by(WorkStatus.id).limit(1))
    return first in planted.values()


@contextmanager
def _given_up() -> Iterator[None]:
    """A transaction that ends in nothing, whatever is called in it."""
    session = db.session()

    def refuse(_session: Session) -> None:
        raise _CommitError("a page wanted to commit while the leak proof was looking at it")

    event.listen(session, "before_commit", refuse)
    kept = dict(g.__dict__)
    try:
        yield
    finally:
        event.remove(session, "before_commit", refuse)
        g.__dict__.clear()
        g.__dict__.update(kept)
        read_only.set(False)
        db.session.rollback()


def _plant(company_id: int) -> dict[str, str]:
    """Put unlikely words in the place of everything internal; by what each stands for."""
    planted: dict[str, str] = {}
    for row in db.session.scalars(select(WorkStatus).order_by(WorkStatus.id)):
        name, colour = f"LEAK{secrets.token_hex(6)}", f"#{secrets.token_hex(3)}"
        # Without a colour of their own customers are shown the internal one, and may be.
        row.portal_color = row.portal_color or row.color
        planted[f"the name of “{row.name}”"] = name
        planted[f"the colour of “{row.name}”"] = colour
        row.name, row.color = name, colour
    for what, column in (("the reason of a move", WorkMove.reason), ("who made a move", WorkMove.by_name)):
        planted[what] = f"LEAK{secrets.token_hex(6)}"
        theirs = select(WorkItem.id).where(WorkItem.company_id == company_id)
        db.session.execute(
            update(WorkMove).where(WorkMove.item_id.in_(theirs)).values({column: planted[what]}),
            execution_options={"synchronize_session": False},
        )
    db.session.flush()
    return planted


def _paths(company_id: int) -> Iterator[str]:
    """Every page without arguments, and those of the company's items."""
    for rule in current_app.url_map.iter_rules():
        if _is_page(rule):
            yield rule.rule
    for kind in WorkKind:
        for number in _numbers(kind, company_id):
            base = f"/{PLURALS[kind]}/{number}"
            yield from (base + rest for rest in (BESIDE if kind is WorkKind.QUOTE else ("",)))
            yield f"/messages/{kind.value}/{number}"
        table = settings_of(kind).table
        yield from (f"/{PLURALS[kind]}?status={shown_status(table, each).key}" for each in _shown(kind, company_id))


def _is_page(rule: Rule) -> bool:
    return "GET" in (rule.methods or ()) and not rule.arguments and rule.endpoint.startswith(AUDIENCES)


def _numbers(kind: WorkKind, company_id: int) -> list[str]:
    wanted = select(WorkItem.number).where(WorkItem.kind == kind, WorkItem.company_id == company_id)
    numbers = db.session.scalars(wanted.order_by(WorkItem.id.desc()).limit(ITEMS_AT_MOST))
    return [written_number(kind, number) for number in numbers]


def _shown(kind: WorkKind, company_id: int) -> list[int]:
    wanted = select(WorkItem.public_status_id).where(
        WorkItem.kind == kind, WorkItem.company_id == company_id, WorkItem.public_status_id.is_not(None)
    )
    return [each for each in db.session.scalars(wanted.distinct()) if each is not None]


def _rendered(base_url: str, path: str, headers: dict[str, str]) -> tuple[bool, str]:
    """Whether there is such a page, and what it says, its headers included: through every guard, as a request of the
    company would be answered."""
    g.__dict__.clear()
    with current_app.test_request_context(path, base_url=base_url, headers=headers):
        response = current_app.full_dispatch_request()
        return response.status_code == 200, f"{response.headers}\n{response.get_data(as_text=True)}"


def _mails(company_id: int, now: datetime) -> Iterator[tuple[str, str]]:
    """Every mail that would tell the company of its items, with all that is filled into it."""
    last = db.session.scalar(select(func.max(Broadcast.id))) or 0
    for kind in WorkKind:
        table = settings_of(kind).table
        shown = WorkItem.public_status_id.is_not(None)
        wanted = select(WorkItem).where(WorkItem.kind == kind, WorkItem.company_id == company_id, shown)
        items = db.session.scalars(wanted.order_by(WorkItem.id.desc()).limit(ITEMS_AT_MOST)).all()
        readers = letters.readers_of(items) if items else {}
        for item in items:
            status = shown_status(table, item.public_status_id or 0)
            for reader in readers[item.id]:
                letters.mail_statuses(kind, reader, [(item, status.name)], now)
    rows: Any = db.session.execute(
        select(Broadcast.title, Broadcast.content, Delivery.values)
        .join(Delivery, Delivery.broadcast_id == Broadcast.id)
        .where(Broadcast.id > last)
    )
    for title, content, values in rows:
        yield f"the mail “{title}”", json.dumps([title, content, values], ensure_ascii=False)
