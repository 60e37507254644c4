"""Who may be what: roles, how an e-mail address is compared, how long a session lives."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import unquote


class Role(StrEnum):
    """The staff role of a person; a person without one is a customer."""

    OFFICE = "office"
    STATUS = "status"
    ADMIN = "admin"


class Permission(StrEnum):
    """What a staff member may do. Named noun first, so that the table below reads in blocks."""

    STAFF_ENTER = "staff:enter"
    INCIDENTS_PUBLISH = "incidents:publish"
    SERVICES_SET = "services:set"
    CATALOGUE_EDIT = "catalogue:edit"
    BROADCASTS_STEER = "broadcasts:steer"
    NOTICES_SEND = "notices:send"
    SUPPRESSIONS_EDIT = "suppressions:edit"
    ALERTS_EDIT = "alerts:edit"
    COMPANIES_READ = "companies:read"
    COMPANIES_EDIT = "companies:edit"
    COMPANIES_VIEW_AS = "companies:view-as"
    WORK_EDIT = "work:edit"
    WORK_SETTINGS_EDIT = "work-settings:edit"
    PORTALS_EDIT = "portals:edit"
    PEOPLE_EDIT = "people:edit"
    TOKENS_EDIT = "tokens:edit"
    CHANNELS_EDIT = "channels:edit"
    RELAYS_EDIT = "relays:edit"
    RECORDS_IMPORT = "records:import"
    RECORDS_EXPORT = "records:export"
    RETENTION_EDIT = "retention:edit"
    AUDIT_READ = "audit:read"
    OPERATION_STEER = "operation:steer"


ALLOWED: dict[Role, frozenset[Permission]] = {
    Role.OFFICE: frozenset(
        {
            Permission.STAFF_ENTER,
            Permission.COMPANIES_READ,
            Permission.COMPANIES_VIEW_AS,
            Permission.WORK_EDIT,
            Permission.WORK_SETTINGS_EDIT,
        }
    ),
    Role.STATUS: frozenset(
        {
            Permission.STAFF_ENTER,
            Permission.COMPANIES_READ,
            Permission.COMPANIES_VIEW_AS,
            Permission.INCIDENTS_PUBLISH,
            Permission.SERVICES_SET,
            Permission.CATALOGUE_EDIT,
            Permission.BROADCASTS_STEER,
            Permission.NOTICES_SEND,
            Permission.SUPPRESSIONS_EDIT,
            Permission.ALERTS_EDIT,
        }
    ),
    Role.ADMIN: frozenset(Permission),
}


def may(role: Role | None, permission: Permission) -> bool:
    """Whether a person with this staff role may do this; a customer (None) may do nothing on staff screens."""
    return role is not None and permission in ALLOWED[role]


@dataclass(frozen=True)
class Lifetime:
    idle: timedelta
    absolute: timedelta


LIFETIMES = {
    True: Lifetime(idle=timedelta(minutes=30), absolute=timedelta(hours=12)),
    False: Lifetime(idle=timedelta(days=7), absolute=timedelta(days=30)),
}
"""Session lifetimes by "is staff" (reliability-security, section 5)."""


def session_is_live(
    *, is_staff: bool, created_at: datetime, last_seen_at: datetime, revoked_at: datetime | None, now: datetime
) -> bool:
    """Whether a session may still be used: not revoked, not idle for too long, not too old."""
    lifetime = LIFETIMES[is_staff]
    return revoked_at is None and now - last_seen_at < lifetime.idle and now - created_at < lifetime.absolute


def text_key(text: str) -> str:
    """How names and addresses are compared and searched: NFKC, casefolded, spaces folded."""
    return one_line(unicodedata.normalize("NFKC", text).casefold())


_ATOM = r"[^\s\x00-\x1f\x7f-\x9f@<>\"(),:;\[\]\\]"
_EMAIL = re.compile(rf"{_ATOM}{{1,64}}@(?:(?!\.){_ATOM}){{1,63}}(?:\.(?:(?!\.){_ATOM}){{1,63}})+")


def is_email(text: str) -> bool:
    """Whether this can be an e-mail address: one @, a domain with a dot, nothing that has a meaning in a header."""
    return bool(_EMAIL.fullmatch(text)) and max(len(text), len(text_key(text))) <= 254


def one_line(text: str) -> str:
    """Text as a name holds it: composed (NFC), without control characters, every run of spaces one space."""
    return " ".join(_printable(text).split())


TAG_LENGTH = 40
TAGS_AT_MOST = 20
"""Tags of one company."""


def tags_of(words: Iterable[str]) -> dict[str, str]:
    """Tags as they are compared, each with how it is written, in their order. ValueError with a sentence.

    Of two that are compared as one the first stands. A comma parts tags wherever they are typed, so none holds one.
    """
    found: dict[str, str] = {}
    for word in words:
        for tag in map(one_line, word.split(",")):
            if not tag:
                continue
            if len(tag) > TAG_LENGTH or len(text_key(tag)) > TAG_LENGTH:
                raise ValueError(f"A tag has at most {TAG_LENGTH} characters.")
            found.setdefault(text_key(tag), tag)
    if len(found) > TAGS_AT_MOST:
        raise ValueError(f"A company has at most {TAGS_AT_MOST} tags.")
    return dict(sorted(found.items()))


def paragraphs(text: str) -> str:
    """Text as a description holds it: as `one_line`, but its lines and their indentation stay."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(_printable(line).rstrip() for line in lines).strip("\n")


def _printable(text: str) -> str:
    """NFC, tabs as spaces, and nothing a database or a terminal could choke on (controls, lone surrogates)."""
    composed = unicodedata.normalize("NFC", text)
    if composed.isprintable():
        # Nearly every text: looking at each character costs a hundred times more, and imports look at many.
        return composed
    spaced = "".join(" " if char.isspace() else char for char in composed)
    return "".join(char for char in spaced if unicodedata.category(char) not in {"Cc", "Cs"})


def safe_next(wanted: str | None) -> str:
    """Where to go after signing in: the wanted path if it is one of this host, else "/".

    Browsers read `//host`, `/\\host` and paths with tabs in them as other hosts, so the path must begin with one
    slash and hold no second one, no backslash, no control character and no step upward, percent-encoded or not.
    """
    path = (wanted or "").partition("#")[0].partition("?")[0]
    plain = unquote(path)
    has_control = any(unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} for character in wanted or "")
    has_control = has_control or any(unicodedata.category(character) == "Cc" for character in plain)
    is_path = plain.startswith("/") and "//" not in plain and "\\" not in plain and ".." not in plain.split("/")
    return wanted if wanted and is_path and not has_control and len(wanted) <= 2000 else "/"


@dataclass(frozen=True)
class Viewpoint:
    """For whom something is computed: staff see all; a company what its audience holds; others what is for everyone."""

    is_staff: bool = False
    company_id: int | None = None

    @property
    def is_signed_out(self) -> bool:
        return not self.is_staff and self.company_id is None


STAFF = Viewpoint(is_staff=True)
SIGNED_OUT = Viewpoint()
