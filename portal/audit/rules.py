"""The audit trail, pure: who an entry names, how the chain is computed, what is counted instead of written."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any


@dataclass(frozen=True)
class Actor:
    """The acting person, or the installation itself (a task, an import, the command line), with where from."""

    label: str
    person_id: int | None = None
    ip: str | None = None
    request_id: str | None = None


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Noted:
    """What one of many rows changed by one step came to; `before` and `after` as an entry of its own has them."""

    object_id: int
    company_id: int | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


# What may stand in an entry

MASK = "…"
"""Stands for a secret: that it changed is told, what it is is not."""

SECRETS = ("password", "secret", "token", "totp", "recovery", "otp", "smtp_url", "private_key")
"""Words that make a field one nobody may read again; actions leave such fields out, and this is the net below them."""


def masked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an entry with secrets replaced by a mask, and credentials in URLs taken out, at any depth."""
    return {name: MASK if _is_secret(name, value) else _masked(value) for name, value in fields.items()}


def _is_secret(name: str, value: Any) -> bool:
    """Numbers and switches are no secrets: a count of tokens and whether there is a password may be read."""
    return isinstance(value, str) and any(word in name.lower() for word in SECRETS)


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return masked(value)
    if isinstance(value, list | tuple):
        return [_masked(each) for each in value]
    if isinstance(value, str) and "://" in value and "@" in value:
        scheme, _, rest = value.partition("://")
        credentials, at, host = rest.rpartition("@")
        return f"{scheme}://{MASK}@{host}" if at and ":" in credentials else value
    return value


# The chain

GENESIS = "0" * 64
"""The hash before the first entry."""

SEALED_AFTER = timedelta(seconds=5)
"""Ids are not in the order of commits, so an entry gets its place only when those begun before it are mostly there.

One that commits later still is sealed later: nothing is left out, it only stands further on in the chain.
"""

PERSONAL = frozenset(
    {"name", "email", "e-mail", "e-mail address", "address", "old_email", "new_email", "phone", "recipient", "person"}
)
"""Fields of `before` and `after` that can name a person. They go into the chain as a salted digest."""

ERASED = "erased"
"""What stands in a personal field once its person has asked to be forgotten."""


def former(person_id: int | None) -> str:
    """How the trail names somebody whose data was erased."""
    return f"a former person #{person_id}" if person_id is not None else "a former address"


def is_personal(field: str) -> bool:
    """Whether a field of an entry can name a person."""
    return field.lower() in PERSONAL


def personal(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The personal fields of an entry."""
    return [{name: value for name, value in (side or {}).items() if is_personal(name)} for side in (before, after)]


def impersonal(side: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """One side of an entry with its personal fields reduced to their names."""
    return None if side is None else {name: None if is_personal(name) else value for name, value in side.items()}


def erased(side: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """One side of an entry with its personal fields erased."""
    return None if side is None else {name: ERASED if is_personal(name) else value for name, value in side.items()}


def digest(salt: str, value: Any) -> str:
    """The salted digest of an erasable piece: without its salt nobody can try out what it was."""
    return hashlib.sha256(f"{salt}\n{canonical(value)}".encode()).hexdigest()


def link(
    previous: str,
    number: int,
    *,
    entry_id: int,
    at: datetime,
    fields: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    who: str,
    what: str,
) -> str:
    """The hash of one entry in its place: over the hash before it and a canonical JSON of all it says.

    `fields` are the plain columns; `who` and `what` the digests of its erasable pieces.
    """
    told = {
        **fields,
        "number": number,
        "id": entry_id,
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "before": impersonal(before),
        "after": impersonal(after),
        "who": who,
        "what": what,
    }
    return hashlib.sha256(f"{previous}\n{canonical(told)}".encode()).hexdigest()


def canonical(value: Any) -> str:
    """One spelling of a JSON value, the same on every machine and database."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)


# Counting

BUCKET = timedelta(minutes=10)
"""What outsiders cause is told once for each of these stretches."""

STRANGER_SLOTS = 64
"""Counts kept at once for addresses on the net that no person of ours stands behind: so many rows a bucket at most."""


def bucket_of(now: datetime) -> datetime:
    """The beginning of the stretch this moment falls into."""
    seconds = int(BUCKET.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)


def slot_of(person_id: int | None, ip: str | None, detail: str = "") -> str:
    """Whose count something belongs to: a person's own, else one of a few that networks (/24, /48) fall into."""
    if person_id is not None:
        return f"person:{person_id}:{detail}"[:80]
    return f"net:{int(hashlib.sha256(_network(ip).encode()).hexdigest(), 16) % STRANGER_SLOTS}"


def _network(ip: str | None) -> str:
    try:
        address = ip_address(ip or "")
    except ValueError:
        return ""
    return str(ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))
