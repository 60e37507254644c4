"""Through the doors: every address a company's people, and machines of theirs, can ask, found by following answers.

Doors without arguments are where it begins. What an answer names is tried next: the addresses that stand in a page,
the members of a list of the API, and what lies right behind an address that was answered.
"""

import json
import logging
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from heapq import heappop, heappush
from html import unescape
from typing import Any, NamedTuple

from flask import current_app
from sqlalchemy import insert
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, RequestRedirect
from werkzeug.wrappers import Response

from portal.accounts.actions.sessions import token_hash
from portal.accounts.models import ApiToken, MailedLink, Session
from portal.accounts.rules.links import Purpose, derived_token, hashed
from portal.accounts.rules.tokens import Scope, new_token, token_hint
from portal.accounts.rules.tokens import token_hash as api_token_hash
from portal.config import Settings
from portal.domains.rules.hosts import CHECK_PATH
from portal.errors import LOOKED_AT_ONLY
from portal.incidents.models import CalendarAddress
from portal.incidents.queries.calendars import PURPOSE as CALENDAR
from portal.incidents.queries.calendars import hash_of
from portal.jobs.proof.ground import Ground
from portal.notifications.links import unsubscribe_path
from portal.notifications.subscribers.links import confirm_path, manage_path
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import Purpose as Asked
from portal.notifications.subscribers.rules import SubscriberKind, SubscriberSource, SubscriberState
from portal.sealing import seal

log = logging.getLogger(__name__)

FOLLOWED_BYTES = 2_000_000
"""What is longer is a file somebody gave us, and not looked into: only its headers are."""

TIME_WAS_UP = "the time was up"

NOTHING = "nothing of this kind was there to look at"

TEXTS = (
    *("text/", "application/json", "application/problem+json", "application/javascript", "image/svg"),
    *("application/atom+xml", "application/xml"),
)
FEEDS = ("application/json", "application/atom+xml", "text/plain", "text/calendar", "text/csv")


class As(StrEnum):
    """As whom an address is asked: on the portal, and as an `OUTSIDER`, who is nobody, on the host of the staff."""

    CUSTOMER = "customer"
    NOBODY = "nobody"
    MACHINE = "machine"
    OUTSIDER = "outsider"


class Sort(StrEnum):
    """What it is that was looked at."""

    PAGE = "page"
    FRAGMENT = "fragment"
    SHEET = "sheet"
    FEED = "feed"
    API = "api"
    EXPORT = "export"
    MAIL = "mail"
    CALL = "call"


VISITS_AT_MOST = {As.CUSTOMER: 15, As.MACHINE: 15, As.NOBODY: 3, As.OUTSIDER: 3}
"""Addresses of one door that are asked as each."""


@dataclass(frozen=True)
class Door:
    """A rule of the app's own URL map that answers GET, and as whom it is to be asked."""

    rule: str
    asked_as: tuple[As, ...]

    @property
    def is_open(self) -> bool:
        """Whether its address is known without having been told."""
        return "<" not in self.rule


class Look(NamedTuple):
    """One thing that was looked at: an address or a mail, and what it said, headers included."""

    sort: Sort
    where: str
    text: str


@dataclass(frozen=True)
class Guest:
    """Who looks: somebody of the company, at home on this portal."""

    company_id: int
    person_id: int
    email: str
    password_stamp: int
    domain_id: int
    host: str
    base_url: str


@dataclass
class Walk:
    """Where a walk has been. `troubles` are addresses that could not be rendered, with why."""

    found: Ground
    guest: Guest
    doors: Mapping[str, Door]
    now: datetime
    looked_at: Counter[Sort] = field(default_factory=Counter)
    troubles: dict[str, str] = field(default_factory=dict)
    visited: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._adapter: MapAdapter = current_app.url_map.bind(self.guest.host)
        self._seen: set[tuple[str, As]] = set()
        self._visits: Counter[tuple[str, As]] = Counter()
        # The first address of every door comes before the second of any: so a walk cut short was everywhere.
        self._queue: list[tuple[int, int, str, str, As]] = []
        self._paths: list[str] = []
        self._session = secrets.token_urlsafe(32)
        self._api_token = new_token()

    def looks(self, further: Iterable[str]) -> Iterator[Look]:
        """Every answer. `further` are addresses to try that nothing may lead to."""
        for door in self.doors.values():
            if door.is_open:
                self._try(door.rule)
        for path in (*further, *self._paths):
            self._try(path)
        yield from self._go()
        for door in [each for each in self.doors.values() if each.rule not in self.visited]:
            # Nothing led there, so it is asked for what nobody has: its guard and its refusal are looked at.
            self._try(_made_up(door.rule))
        yield from self._go()
        for rule in self.doors.keys() - self.visited:
            if not self.found.is_over:
                self.troubles[rule] = "no address of it is known, and none could be made up"

    def _go(self) -> Iterator[Look]:
        while self._queue and not self.found.is_over:
            _turn, _number, rule, path, asked_as = heappop(self._queue)
            yield from self._visit(rule, path, asked_as)

    @property
    def left(self) -> Mapping[str, int]:
        """What was left when the time was up: of how many addresses of each door nothing is known."""
        return Counter(rule for _turn, _number, rule, _path, _asked_as in self._queue)

    # Keys

    def make_keys(self) -> None:
        """Write down the session and the token the walk goes by, in copies of their tables."""
        guest, past = self.guest, self.now - timedelta(minutes=1)
        session = {
            "id": 1,
            "token_hash": token_hash(self._session),
            "person_id": guest.person_id,
            "company_id": guest.company_id,
            "host": guest.host,
            "ip": "127.0.0.1",
            "user_agent": "leak proof",
            "created_at": past,
            "last_seen_at": self.now,
            "confirmed_at": self.now,
            "second_factor_at": self.now,
            "is_view_as": False,
        }
        token = {
            # No token of this installation has it, so that its allowance is nobody else's.
            "id": 2_000_000_000 + secrets.randbelow(100_000_000),
            "name": "leak proof",
            "token_hash": api_token_hash(self._api_token),
            "hint": token_hint(self._api_token),
            "scope": Scope.READ,
            "company_id": guest.company_id,
            "created_at": past,
            "last_used_at": self.now + timedelta(hours=1),
        }
        self.found.connection.execute(insert(Session), session)
        self.found.connection.execute(insert(ApiToken), token)

    def make_links(self) -> None:
        """Write down links as they are mailed, one for each purpose a page stands behind."""
        settings: Settings = current_app.config["SETTINGS"]
        self._paths.append(f"{CHECK_PATH}{secrets.token_urlsafe(24)}")
        self._paths.append(unsubscribe_path(self.guest.email, "incidents", self.guest.person_id))
        for purpose, before in MAILED.items():
            nonce = secrets.token_hex(32)
            token = derived_token(settings.secret_key, purpose, self.guest.person_id, nonce)
            link = {
                "purpose": purpose,
                "nonce": nonce,
                "token_hash": hashed(token),
                "person_id": self.guest.person_id,
                "address": self.guest.email,
                "password_stamp": self.guest.password_stamp,
                "details": {},
                "created_at": self.now,
                "expires_at": self.now + timedelta(hours=1),
            }
            self.found.connection.execute(insert(MailedLink), link)
            self._paths.append(before + token)
        self._make_subscribers_links()
        self._make_calendar()

    def _make_subscribers_links(self) -> None:
        """Somebody has signed up for what is public and confirms it, or changes what they hear of."""
        for number, (state, paths) in enumerate(
            (
                (SubscriberState.UNCONFIRMED, (confirm_path,)),
                (SubscriberState.ACTIVE, (manage_path, _asked_path)),
            )
        ):
            key = secrets.token_hex(16)
            subscriber = {
                "domain_id": self.guest.domain_id,
                "kind": SubscriberKind.EMAIL,
                "key": key,
                "address": f"reader{number}@leak.example",
                "address_key": f"reader{number}@leak.example",
                "topics": ["incidents"],
                "state": state,
                "source": SubscriberSource.PAGE,
                "created_at": self.now,
                "asked_at": self.now,
            }
            self.found.connection.execute(insert(Subscriber), subscriber)
            self._paths += [path(key, self.now) for path in paths]

    def _make_calendar(self) -> None:
        """The company's calendar is read at an address of its own, as it was within the hour."""
        secret = secrets.token_urlsafe(24)
        address = {
            "company_id": self.guest.company_id,
            "secret_hash": hash_of(secret),
            "sealed": seal(secret, CALENDAR),
            "created_at": self.now,
            "read_at": self.now + timedelta(hours=1),
        }
        self.found.connection.execute(insert(CalendarAddress), address)
        self._paths.append(f"/calendar/{secret}.ics")

    # Going

    def _try(self, path: str) -> None:
        """Put an address on the way, as everybody who may ask there; unless there is no door or enough was seen."""
        rule = self._rule_of(path)
        door = self.doors.get(rule or "")
        if rule is None or door is None:
            return
        for asked_as in door.asked_as:
            if (path, asked_as) not in self._seen and self._visits[rule, asked_as] < VISITS_AT_MOST[asked_as]:
                self._seen.add((path, asked_as))
                heappush(self._queue, (self._visits[rule, asked_as], len(self._seen), rule, path, asked_as))
                self._visits[rule, asked_as] += 1

    def _rule_of(self, path: str) -> str | None:
        try:
            rule, _values = self._adapter.match(path.partition("?")[0], "GET", return_rule=True)
        except (HTTPException, RequestRedirect):
            return None
        return rule.rule

    def _visit(self, rule: str, path: str, asked_as: As) -> Iterator[Look]:
        self.visited.add(rule)
        answer = self._ask(rule, path, asked_as)
        if answer is None:
            return
        sort = _sort_of(answer, asked_as)
        yield self._look(sort, rule, path, answer)
        if answer.status_code != 200:
            return
        for each in self._named_in(rule, path, answer):
            self._try(each)
        if sort is Sort.PAGE:
            fragment = self._ask(rule, path, asked_as, is_part=True)
            if fragment is not None:
                yield self._look(Sort.FRAGMENT, rule, path, fragment)

    def _look(self, sort: Sort, rule: str, path: str, answer: Response) -> Look:
        if answer.status_code < 400:
            self.answered.add(rule)
        if answer.status_code == 200:
            self.looked_at[sort] += 1
        return Look(sort, self._called(rule, path), f"{answer.status}\n{answer.headers}\n{_text_of(answer)}")

    def _called(self, rule: str, path: str) -> str:
        """How an address is named: a mailed link, which opens something or holds an address, by its rule."""
        return rule if path in self._paths else path

    def _headers(self, asked_as: As) -> dict[str, str]:
        if asked_as is As.MACHINE:
            return {"Authorization": f"Bearer {self._api_token}"}
        settings: Settings = current_app.config["SETTINGS"]
        name = "__Host-sid" if settings.is_https else "sid"
        cookie = {"Cookie": f"{name}={self._session}"} if asked_as is As.CUSTOMER else {}
        # As a page asks by itself: nobody is noted as having been there.
        return {"X-Background": "1", **cookie}

    def _ask(self, rule: str, path: str, asked_as: As, *, is_part: bool = False) -> Response | None:
        """The answer as anybody would get it, through every guard; None where there is none, which is noted."""
        app: Any = current_app
        settings: Settings = app.config["SETTINGS"]
        base_url = settings.base_url if asked_as is As.OUTSIDER else self.guest.base_url
        headers = {**self._headers(asked_as), **({"HX-Request": "true"} if is_part else {})}
        try:
            environ = {LOOKED_AT_ONLY: True}
            with (
                self.found.standing(),
                app.test_request_context(path, base_url=base_url, headers=headers, environ_overrides=environ),
            ):
                answer: Response = app.full_dispatch_request()
                _read(answer)
        except Exception as trouble:
            log.warning("the leak proof could not render %s: %s", path, type(trouble).__name__, exc_info=trouble)
            self.troubles[self._called(rule, path)] = f"it could not be rendered: {type(trouble).__name__}"
            return None
        if answer.status_code >= 500 or answer.status_code == 429:
            self.troubles[self._called(rule, path)] = f"it was answered with {answer.status}"
        return answer

    def _named_in(self, rule: str, path: str, answer: Response) -> Iterator[str]:
        """The addresses an answer leads to."""
        behind = path.partition("?")[0]
        for other in self.doors:
            if other.startswith(f"{rule}/") and "<" not in other[len(rule) :]:
                yield behind + other[len(rule) :]
        text = _text_of(answer)
        if answer.mimetype == "text/html":
            for found in dict.fromkeys(_ADDRESS.findall(text)):
                yield _local(unescape(found), self.guest.base_url)
        elif answer.mimetype == "application/json":
            for name in _members(text):
                yield f"{behind}/{name}"
            for found in _NEXT.findall(text):
                yield _local(found, self.guest.base_url)


MAILED = {
    Purpose.INVITATION: "/invitation/",
    Purpose.RESET: "/reset/",
    Purpose.EMAIL_CHANGE: "/email/",
    Purpose.EMAIL_UNDO: "/email/back/",
}
"""The links that are mailed, and where each leads; the token follows."""

NAMES = ("number", "public_id", "id")
"""What the members of lists of the API are called by in addresses."""

_NEXT = re.compile(r'"next": ?"([^"]+)"')
_ADDRESS = re.compile(r"""\s[a-z-]+=["']((?:https?://[^"'\s<>]+)?/[^"'\s<>]*)["']""")


_ARGUMENT = re.compile(r"<(?:([a-z_]+)(?:\(([^)]*)\))?:)?[a-z_]+>")
_LENGTH = re.compile(r"(?:^|[, ])length=([0-9]+)")


def _asked_path(key: str, now: datetime) -> str:
    """The link that somebody has asked for just now."""
    return manage_path(key, now, Asked.CHANGE)


def _made_up(rule: str) -> str:
    """An address of a rule that leads to nothing."""
    return _ARGUMENT.sub(_made_up_argument, rule)


def _made_up_argument(found: re.Match[str]) -> str:
    if found[1] == "int":
        return "2147483000"
    length = _LENGTH.search(found[2] or "")
    return "0" * (int(length[1]) if length else 16)


def _local(address: str, base_url: str) -> str:
    """The path and query of an address on this portal."""
    return address.removeprefix(base_url).partition("#")[0]


def _members(text: str) -> Iterator[str]:
    """What the members of a list are called in addresses below it."""
    try:
        told = json.loads(text)
    except ValueError:
        return
    lists = [told] if isinstance(told, list) else told.values() if isinstance(told, dict) else []
    for each in lists:
        for member in each if isinstance(each, list) else ():
            names = [member.get(name) for name in NAMES] if isinstance(member, dict) else []
            yield from (str(name) for name in names if isinstance(name, str | int))


def _sort_of(answer: Response, asked_as: As) -> Sort:
    if asked_as is As.MACHINE:
        return Sort.API
    if answer.mimetype == "text/html":
        return Sort.PAGE
    return Sort.FEED if answer.mimetype in FEEDS else Sort.SHEET


def _read(answer: Response) -> None:
    """Read what is text into memory; let go of everything else."""
    is_text = (answer.mimetype or "").startswith(TEXTS) and (answer.content_length or 0) <= FOLLOWED_BYTES
    answer.direct_passthrough = False
    if is_text:
        answer.get_data()
    else:
        answer.close()
        answer.set_data(b"")


def _text_of(answer: Response) -> str:
    return answer.get_data(as_text=True)
