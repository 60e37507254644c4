"""Changes of relays by hand. What they do by themselves is written by the sending process (`relays.py`)."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from portal import events, sealing
from portal.accounts.rules import is_email, one_line
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.extensions import db
from portal.notifications.compose import ComposeError, envelope_address
from portal.notifications.models import MENDED, RELAY_PASSWORD, Relay
from portal.notifications.profiles import (
    PORTS,
    PROFILES,
    Limits,
    Profile,
    Security,
    Unusable,
    checked_host,
    has_controls,
    is_loopback,
)

MOST_RELAYS = 20
MOST_CONNECTIONS = 100
MOST_PER_MINUTE = 60_000
MOST_PER_DAY = 10_000_000
NAME_LENGTH, LOGIN_LENGTH, PASSWORD_LENGTH = 60, 254, 500

DEFAULT_STAYS = "This relay stands for PORTAL_SMTP_URL and cannot be removed. Switch it off instead."


@dataclass(frozen=True)
class Address:
    """Where a relay is and how one gets in, as typed. A `port` of None is the usual one; an empty `password` keeps the
    one that is stored; an empty `sender` is that of the settings."""

    host: str
    port: int | None = None
    security: Security = Security.STARTTLS
    username: str = ""
    password: str = ""
    sender: str = ""


@dataclass(frozen=True)
class Load:
    """How much a relay takes, as typed. `per_minute` is for a custom profile; `per_day` also lowers that of another."""

    profile: Profile = Profile.UNLIMITED
    per_minute: int | None = None
    per_day: int | None = None
    connections: int | None = None


def add_relay(name: str, address: Address, load: Load, *, by: Actor, now: datetime) -> Relay:
    """Add a relay at the end of the order. Raises RuleViolation for what cannot be used."""
    if (db.session.scalar(select(func.count()).where(Relay.removed_at.is_(None))) or 0) >= MOST_RELAYS:
        raise RuleViolation(f"There are {MOST_RELAYS} relays already. Remove one that is no longer used.")
    last = db.session.scalar(select(func.max(Relay.position)).where(Relay.removed_at.is_(None)))
    relay = Relay(name=_name(name, None), position=0 if last is None else last + 1)
    _apply_address(relay, address)
    _apply_load(relay, load)
    db.session.add(relay)
    db.session.flush()
    _record("relay.add", relay, before=None, by=by, now=now)
    return relay


def edit_relay(
    relay: Relay, name: str, address: Address | None, load: Load, *, version: int, by: Actor, now: datetime
) -> None:
    """Change a relay; its address is None for the one of the settings, which has its own. What was changed is trusted
    again: that is how a broken one is mended. Raises StaleEdit, RuleViolation."""
    if relay.version != version:
        raise StaleEdit
    before = _told(relay)
    sealed = relay.password_sealed
    if address is not None:
        relay.name = _name(name, relay)
        _apply_address(relay, address)
    _apply_load(relay, load)
    told = _told(relay)
    has_new_password = relay.password_sealed != sealed
    if told == before and not has_new_password:
        return
    for field, value in MENDED.items():
        setattr(relay, field, value)
    db.session.flush()
    _record("relay.edit", relay, before=before, by=by, now=now, **({"new_password": True} if has_new_password else {}))


def switch_relay(relay: Relay, *, off: bool, version: int, by: Actor, now: datetime) -> None:
    """Give a relay no mails any more, or some again. What waits for it goes to the others."""
    if relay.version != version:
        raise StaleEdit
    if (relay.switched_off_at is not None) == off:
        return
    relay.switched_off_at = now if off else None
    db.session.flush()
    events.ring(events.STAFF)
    events.wake("deliver")
    audit.record(
        "relay.switch-off" if off else "relay.switch-on",
        object_kind="relay",
        object_id=relay.id,
        by=by,
        now=now,
        before={"in_use": off},
        after={"in_use": not off},
    )


def remove_relay(relay: Relay, *, version: int, by: Actor, now: datetime) -> None:
    """Take a relay off the list and forget how to get into it. The row stays for what was sent through it."""
    if relay.version != version:
        raise StaleEdit
    if relay.is_default:
        raise RuleViolation(DEFAULT_STAYS)
    before = _told(relay)
    relay.removed_at = now
    relay.name = f"{relay.name} (removed {relay.id})"
    relay.username = relay.password_sealed = relay.test = None
    db.session.flush()
    events.ring(events.STAFF)
    events.wake("deliver")
    audit.record("relay.remove", object_kind="relay", object_id=relay.id, by=by, now=now, before=before, after=None)


def mend_relay(relay_id: int, *, by: Actor, now: datetime) -> None:
    """Let a paused or broken relay be tried again at once, because somebody has acted."""
    relay = db.session.get(Relay, relay_id)
    if relay is None or relay.removed_at is not None:
        raise NotFound
    before = relay.state
    db.session.execute(update(Relay).where(Relay.id == relay_id).values(MENDED))
    events.ring(events.STAFF)
    events.wake("deliver")
    audit.record(
        "relay.mend", object_kind="relay", object_id=relay.id, by=by, now=now, before={"state": before}, after={}
    )


# Their order.


def order_version(relays: Sequence[Relay]) -> int:
    """The version of the order of these relays: another order, or another relay among them, has another."""
    return zlib.crc32(",".join(str(each.id) for each in relays).encode())


def arrange_relays(order: Sequence[int], *, version: int, by: Actor, now: datetime) -> None:
    """Put all relays in this order. StaleEdit when they are no longer those the person saw, in the order they saw."""
    relays = _locked_list(version)
    if sorted(order) != sorted(each.id for each in relays):
        raise StaleEdit
    _place({each.id: each for each in relays}, order, by=by, now=now)


def step_relay(relay_id: int, step: int, *, version: int, by: Actor, now: datetime) -> None:
    """Move one relay by one place, up (-1) or down (1); at the end of the list it stays where it is."""
    relays = _locked_list(version)
    order = [each.id for each in relays]
    if relay_id not in order:
        raise StaleEdit
    place = order.index(relay_id)
    order.insert(min(max(place + step, 0), len(order) - 1), order.pop(place))
    _place({each.id: each for each in relays}, order, by=by, now=now)


def _locked_list(version: int) -> Sequence[Relay]:
    relays = db.session.scalars(
        select(Relay).where(Relay.removed_at.is_(None)).order_by(Relay.position, Relay.id).with_for_update()
    ).all()
    if order_version(relays) != version:
        raise StaleEdit
    return relays


def _place(relays: dict[int, Relay], order: Sequence[int], *, by: Actor, now: datetime) -> None:
    before = [each.name for each in relays.values()]
    after = [relays[each].name for each in order]
    # Past the version: a form on one of them is not older for it.
    for position, relay_id in enumerate(order):
        db.session.execute(update(Relay).where(Relay.id == relay_id).values(position=position))
    if before == after:
        return
    events.ring(events.STAFF)
    audit.record(
        "relay.arrange",
        object_kind="relay",
        object_id=None,
        by=by,
        now=now,
        before={"order": before},
        after={"order": after},
    )


# What was typed.


def _name(typed: str, relay: Relay | None) -> str:
    if has_controls(typed):
        raise RuleViolation("A name is one line without control characters.", "name")
    name = one_line(typed)
    if not name or len(name) > NAME_LENGTH:
        raise RuleViolation(f"Give the relay a name of at most {NAME_LENGTH} characters.", "name")
    taken = select(Relay.id).where(func.lower(Relay.name) == name.lower(), Relay.id != (relay.id if relay else 0))
    if db.session.scalar(taken.limit(1)) is not None:
        raise RuleViolation("Another relay has this name already.", "name")
    return name


def _apply_address(relay: Relay, typed: Address) -> None:
    try:
        host = checked_host(typed.host)
    except Unusable as refusal:
        raise RuleViolation(str(refusal), "host") from None
    port = typed.port if typed.port is not None else PORTS[typed.security]
    if not 1 <= port <= 65_535:
        raise RuleViolation("A port is a number from 1 to 65535.", "port")
    username = typed.username.strip(" ")
    if has_controls(username) or len(username) > LOGIN_LENGTH:
        raise RuleViolation(f"A user is one line of at most {LOGIN_LENGTH} characters.", "username")
    sealed = _sealed_password(relay, typed, host, port, username)
    if sealed and typed.security is Security.NONE and not is_loopback(host):
        raise RuleViolation(
            "A password is not sent unencrypted. Choose STARTTLS or TLS, or leave user and password empty.", "security"
        )
    relay.host, relay.port, relay.security = host, port, typed.security
    relay.username, relay.password_sealed = username or None, sealed
    relay.sender = _sender(typed.sender)


def _sealed_password(relay: Relay, typed: Address, host: str, port: int, username: str) -> str | None:
    """The password as it is stored. One that was typed for another server, or another user, is never sent to this one:
    whoever could change the host alone would else have it sent to a host of their own."""
    if has_controls(typed.password) or len(typed.password) > PASSWORD_LENGTH:
        raise RuleViolation(f"A password is one line of at most {PASSWORD_LENGTH} characters.", "password")
    if not username:
        if typed.password:
            raise RuleViolation("Say which user this password belongs to.", "username")
        return None
    if typed.password:
        return sealing.seal(typed.password, RELAY_PASSWORD)
    if relay.password_sealed is None:
        raise RuleViolation("Enter the password of this user.", "password")
    is_weaker = typed.security is Security.NONE and relay.security is not Security.NONE
    if (host, port, username) != (relay.host, relay.port, relay.username) or is_weaker:
        raise RuleViolation(
            "The stored password belongs to the server and user as they were. Enter it once more for these.", "password"
        )
    return relay.password_sealed


def _sender(typed: str) -> str | None:
    sender = typed.strip(" ")
    if not sender:
        return None
    try:
        if not is_email(sender):
            raise ComposeError("it is no address")
        envelope_address(sender)
    except ComposeError:
        raise RuleViolation("That is no e-mail address, such as status@example.com.", "sender") from None
    return sender


def _apply_load(relay: Relay, typed: Load) -> None:
    limits = _limits(typed)
    if typed.connections is not None and not 1 <= typed.connections <= MOST_CONNECTIONS:
        raise RuleViolation(f"From 1 to {MOST_CONNECTIONS} connections.", "connections")
    relay.profile, relay.connections = typed.profile, typed.connections
    relay.per_minute, relay.per_day = limits.per_minute, limits.per_day


def _limits(typed: Load) -> Limits:
    if typed.per_day is not None and not 1 <= typed.per_day <= MOST_PER_DAY:
        raise RuleViolation(f"From 1 to {MOST_PER_DAY:,} mails a day.", "per_day")
    if typed.profile is Profile.CUSTOM:
        if typed.per_minute is not None and not 1 <= typed.per_minute <= MOST_PER_MINUTE:
            raise RuleViolation(f"From 1 to {MOST_PER_MINUTE:,} mails a minute.", "per_minute")
        if typed.per_minute is None and typed.per_day is None:
            raise RuleViolation("Say how many mails it takes a minute, or a day.", "per_minute")
        return Limits(typed.per_minute, typed.per_day)
    usual = PROFILES[typed.profile]
    if typed.per_day is not None and usual.per_day is not None and typed.per_day > usual.per_day:
        raise RuleViolation(f"It takes {usual.per_day:,} mails a day at most; a budget can only be lower.", "per_day")
    return Limits(usual.per_minute, usual.per_day if typed.per_day is None else typed.per_day)


TOLD = ("name", "host", "port", "security", "username", "sender", "profile", "per_minute", "per_day", "connections")


def _told(relay: Relay) -> dict[str, Any]:
    """What the audit trail says of a relay: everything but its password."""
    return {name: getattr(relay, name) for name in TOLD} | {"has_password": relay.password_sealed is not None}


def _record(action: str, relay: Relay, *, before: dict[str, Any] | None, by: Actor, now: datetime, **more: Any) -> None:
    events.ring(events.STAFF)
    events.wake("deliver")
    after = _told(relay)
    changed = {name for name in after if before is None or before[name] != after[name]}
    audit.record(
        action,
        object_kind="relay",
        object_id=relay.id,
        by=by,
        now=now,
        before=None if before is None else {name: before[name] for name in before if name in changed},
        after={name: after[name] for name in after if name in changed} | more,
    )
