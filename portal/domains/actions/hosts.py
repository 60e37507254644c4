"""The names of a portal domain: adding and removing them, and what asking them found."""

from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.models import PortalDomain, PortalHost
from portal.domains.queries.hosts import hosts_of
from portal.domains.rules import normal_host
from portal.domains.rules.hosts import HOSTS_AT_MOST, Finding
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.extensions import db

CHECK_LEASE = timedelta(seconds=60)
"""After which a check that was begun and never ended is begun again by somebody else."""


def host_is_taken(host: str, other_than: int = 0) -> bool:
    """Whether the name belongs to a portal domain other than this one."""
    taken = select(PortalHost.id).where(PortalHost.host == host, PortalHost.domain_id != other_than)
    return db.session.scalar(taken) is not None


def add_host(domain: PortalDomain, host: str, *, staff_host: str, version: int, by: Actor, now: datetime) -> PortalHost:
    """Give a portal domain a further name, which leads to its main one. `staff_host` is never one of them."""
    if domain.version != version:
        raise StaleEdit
    name = normal_host(host)
    if not name or ":" in host or name.replace(".", "").isdigit():
        advice = "" if host.isascii() else " Write an international name in its xn-- form."
        raise RuleViolation(f"Write the name alone, such as portal.example.com.{advice}", "host")
    if name == normal_host(staff_host):
        raise RuleViolation(f"{name} is where staff sign in. It cannot lead anywhere else.", "host")
    if host_is_taken(name, other_than=domain.id):
        raise RuleViolation(f"{name} is already a name of another portal domain.", "host")
    known = hosts_of(domain)
    if any(each.host == name for each in known):
        raise RuleViolation(f"{name} leads here already.", "host")
    if len(known) >= HOSTS_AT_MOST:
        raise RuleViolation(f"A portal domain has at most {HOSTS_AT_MOST} names.", "host")
    added = PortalHost(domain_id=domain.id, host=name, created_at=now)
    db.session.add(added)
    _raise_version(domain)
    db.session.flush()
    _record("portal.add_host", domain, by=by, now=now, after={"host": name})
    return added


def remove_host(domain: PortalDomain, host_id: int, *, version: int, by: Actor, now: datetime) -> str:
    """Take a further name away; it is refused from the next request on. Returns the name."""
    if domain.version != version:
        raise StaleEdit
    found = _host(domain, host_id)
    if found.host == domain.host:
        raise RuleViolation("That is its main name. Change the address first; then this one can go.")
    name = found.host
    db.session.delete(found)
    _raise_version(domain)
    db.session.flush()
    _record("portal.remove_host", domain, by=by, now=now, before={"host": name})
    return name


def move_main_host(domain: PortalDomain, host: str, *, now: datetime) -> None:
    """Make this the main name; the one before stays and leads here. The caller has seen that it is free."""
    known = select(PortalHost.id).where(PortalHost.domain_id == domain.id, PortalHost.host == host)
    if db.session.scalar(known) is None:
        db.session.add(PortalHost(domain_id=domain.id, host=host, created_at=now))
    domain.host = host


def want_check(domain: PortalDomain, host_id: int, *, by: Actor, now: datetime) -> None:
    """Have a name asked whether it leads here; a worker does it. Asking again while it waits is harmless."""
    found = _host(domain, host_id)
    if found.check_wanted_at is None:
        found.check_wanted_at = now
        db.session.flush()
        _record("portal.check_host", domain, by=by, now=now, after={"host": found.host})
    events.ring(events.STAFF)
    events.wake("check_hosts")


def begin_check(now: datetime) -> int | None:
    """Take up the check that has waited longest; the id of its name, None when none waits.

    Nobody else takes it up before CHECK_LEASE is over, so two workers never ask the same name at once.
    """
    is_free = or_(PortalHost.check_began_at.is_(None), PortalHost.check_began_at <= now - CHECK_LEASE)
    waiting = (
        select(PortalHost.id)
        .where(PortalHost.check_wanted_at.is_not(None), is_free)
        .order_by(PortalHost.check_wanted_at, PortalHost.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    host_id = db.session.scalar(waiting)
    if host_id is not None:
        db.session.execute(update(PortalHost).where(PortalHost.id == host_id).values(check_began_at=now))
    return host_id


def store_check(
    host_id: int, finding: Finding, detail: str, certificate_until: datetime | None, *, now: datetime
) -> None:
    """Keep what a check found; of a name that was taken away meanwhile nothing is kept."""
    db.session.execute(
        update(PortalHost)
        .where(PortalHost.id == host_id)
        .values(
            check_wanted_at=None,
            check_began_at=None,
            checked_at=now,
            finding=finding,
            detail=detail[:300],
            certificate_until=certificate_until,
        )
    )
    events.ring(events.STAFF)


def _host(domain: PortalDomain, host_id: int) -> PortalHost:
    found = db.session.get(PortalHost, host_id)
    if found is None or found.domain_id != domain.id:
        raise NotFound
    return found


def _raise_version(domain: PortalDomain) -> None:
    """The names are part of what a form on the domain shows: who opened it before is told."""
    db.session.execute(
        update(PortalDomain).where(PortalDomain.id == domain.id).values(version=PortalDomain.version + 1)
    )
    db.session.refresh(domain, ["version"])


def _record(
    action: str,
    domain: PortalDomain,
    *,
    by: Actor,
    now: datetime,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
) -> None:
    audit.record(action, object_kind="portal", object_id=domain.id, by=by, now=now, before=before, after=after)
