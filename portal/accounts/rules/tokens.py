"""Tokens of the API: how they look, what each scope may do, how long they live.

The table of scopes is `MAY`; `for_company` narrows it to what the people of one company could see themselves.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

PREFIX = "sbx_"
"""How every token begins, so that scanners of leaked secrets know one."""

SECRET_BYTES = 32
NAME_LENGTH = 100
LONGEST_LIFE = timedelta(days=3650)

SEEN_EVERY = timedelta(minutes=1)
"""How often at most it is written down that a token was used."""

ANSWERS_KEPT = timedelta(hours=24)
"""How long the answer to an Idempotency-Key is kept and given again."""


class Scope(StrEnum):
    """What a token is for: reading, what status staff do, everything, or one capability."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    INCIDENTS = "incidents"
    CATALOGUE = "catalogue"
    COMPANIES = "companies"
    PORTALS = "portals"
    BROADCASTS = "broadcasts"
    WEBHOOKS = "webhooks"
    WORK = "work"
    METRICS = "metrics"
    CALLS = "calls"
    ALERTS = "alerts"
    AUDIT = "audit"


class Resource(StrEnum):
    """What the API is divided into; each is a word of the address."""

    COMPANIES = "companies"
    PEOPLE = "people"
    PORTALS = "portals"
    COMPONENTS = "components"
    COMPONENT_GROUPS = "component-groups"
    INCIDENTS = "incidents"
    INCIDENT_DRAFTS = "incident-drafts"
    INCIDENT_TEMPLATES = "incident-templates"
    MAINTENANCES = "maintenances"
    ANNOUNCEMENTS = "announcements"
    AVAILABILITY = "availability"
    SERVICES = "services"
    HOLDINGS = "holdings"
    SERVICE_UPDATES = "service-updates"
    SERVICE_WINDOWS = "service-windows"
    QUESTIONS = "questions"
    BROADCASTS = "broadcasts"
    DELIVERIES = "deliveries"
    SUBSCRIBERS = "subscribers"
    WEBHOOKS = "webhooks"
    JOBS = "jobs"
    QUOTES = "quotes"
    WORK_STATUSES = "work-statuses"
    METRICS = "metrics"
    SAMPLES = "samples"
    CALL_RECORDS = "call-records"
    ALERTS = "alerts"
    AUDIT = "audit"


class Right(IntEnum):
    """How far a token may go with a resource; who may write may read."""

    NONE = 0
    READ = 1
    WRITE = 2


_CATALOGUE = (Resource.COMPONENTS, Resource.COMPONENT_GROUPS, Resource.SERVICES, Resource.HOLDINGS)
_STATUS = (Resource.INCIDENTS, Resource.MAINTENANCES, Resource.SERVICE_UPDATES, Resource.SERVICE_WINDOWS)
_PREPARED = (Resource.INCIDENT_DRAFTS, Resource.INCIDENT_TEMPLATES, Resource.ANNOUNCEMENTS)
"""What on screen only they see who publish: it may be unfinished, or not be meant for anybody yet."""

_USAGE = (Resource.METRICS, Resource.SAMPLES)
_WORK = (Resource.JOBS, Resource.QUOTES)
_PLAIN = (
    *_CATALOGUE,
    *_STATUS,
    *_WORK,
    *_USAGE,
    Resource.QUESTIONS,
    Resource.WORK_STATUSES,
    Resource.COMPANIES,
    Resource.PORTALS,
    Resource.BROADCASTS,
    Resource.AVAILABILITY,
    Resource.ALERTS,
)
"""What `read` reads. People, deliveries and subscribers hold addresses, the audit trail holds everything, webhooks say
who is told of what elsewhere, and what is prepared is not said yet: they take more. Whom an alert tells is shown to
whoever may change alerts."""


def _reads(*resources: Resource) -> dict[Resource, Right]:
    return dict.fromkeys(resources, Right.READ)


def _writes(*resources: Resource) -> dict[Resource, Right]:
    return dict.fromkeys(resources, Right.WRITE)


MAY: dict[Scope, Mapping[Resource, Right]] = {
    Scope.READ: _reads(*_PLAIN),
    Scope.WRITE: _reads(*_PLAIN)
    | _writes(*_CATALOGUE, *_STATUS, *_PREPARED, *_USAGE, Resource.BROADCASTS, Resource.AVAILABILITY),
    Scope.ADMIN: _writes(*Resource),
    Scope.INCIDENTS: _reads(*_CATALOGUE) | _writes(*_STATUS, *_PREPARED),
    Scope.CATALOGUE: _reads(Resource.COMPANIES) | _writes(*_CATALOGUE),
    Scope.COMPANIES: _reads(*_CATALOGUE, Resource.PORTALS, Resource.AVAILABILITY)
    | _writes(Resource.COMPANIES, Resource.PEOPLE),
    Scope.PORTALS: _reads(Resource.COMPANIES) | _writes(Resource.PORTALS),
    Scope.BROADCASTS: _reads(Resource.DELIVERIES) | _writes(Resource.BROADCASTS, Resource.SUBSCRIBERS),
    Scope.WEBHOOKS: _reads(Resource.COMPANIES) | _writes(Resource.WEBHOOKS),
    Scope.WORK: _reads(*_CATALOGUE, Resource.COMPANIES, Resource.WORK_STATUSES) | _writes(*_WORK),
    Scope.METRICS: _reads(Resource.COMPANIES, Resource.SERVICES) | _writes(*_USAGE),
    Scope.CALLS: _reads(Resource.COMPANIES, Resource.SERVICES) | _writes(Resource.CALL_RECORDS),
    Scope.ALERTS: _reads(Resource.COMPANIES, Resource.SERVICES, Resource.METRICS) | _writes(Resource.ALERTS),
    Scope.AUDIT: _reads(Resource.AUDIT),
}
"""What each scope may do with each resource; what is not named it may not touch."""

SCOPE_WORDS: dict[Scope, str] = {
    Scope.READ: "Reads everything but drafts, templates, announcements, people, deliveries, subscribers, "
    "call records, webhooks and the audit trail, so no e-mail address and no telephone number.",
    Scope.WRITE: "Reads the same; changes incidents, drafts, templates, announcements, service statuses, the catalogue "
    "and metrics, and how availability is counted, sends and steers broadcasts.",
    Scope.ADMIN: "Everything, addresses and the audit trail too.",
    Scope.INCIDENTS: "Incidents with drafts and templates, maintenance, announcements and service statuses; reads "
    "components, services and holdings.",
    Scope.CATALOGUE: "Components, services and holdings; reads companies.",
    Scope.COMPANIES: "Companies, what is agreed with them, and their people, addresses too; reads portals, services, "
    "holdings and availability.",
    Scope.PORTALS: "Portal domains and what each shows; reads companies.",
    Scope.BROADCASTS: "Broadcasts, their deliveries and subscribers, addresses too.",
    Scope.WEBHOOKS: "Webhooks of companies and people, and those of the staff; reads companies.",
    Scope.WORK: "Jobs and quotes with their messages and files; reads work statuses, companies, services and holdings.",
    Scope.METRICS: "Metrics and their samples, for what measures; reads companies and services.",
    Scope.CALLS: "Call records, telephone numbers too, for what switches calls; reads companies and services.",
    Scope.ALERTS: "Alerts, whom they tell too; reads companies, services and metrics.",
    Scope.AUDIT: "Reads the audit trail.",
}

COMPANY_SCOPES = frozenset({Scope.READ})
"""The scopes a token of one company may have: its people change nothing of these resources themselves."""

COMPANY_RESOURCES = frozenset(
    {Resource.COMPANIES, Resource.QUESTIONS, Resource.AVAILABILITY, Resource.ALERTS, *_CATALOGUE, *_STATUS, *_WORK}
)
"""What exists for a token of one company. Everything else is not there for it: people have addresses, and work statuses
the names the office gives them."""


OWN_ALONE = frozenset({Resource.CALL_RECORDS})
"""What `read` reads of its own company alone: everybody's telephone numbers take more."""


def right(scope: Scope, resource: Resource, *, for_company: bool) -> Right:
    """How far a token may go with a resource."""
    granted = MAY[scope].get(resource, Right.NONE)
    if not for_company:
        return granted
    if scope is Scope.READ and resource in OWN_ALONE:
        return Right.READ
    return min(granted, Right.READ) if resource in COMPANY_RESOURCES else Right.NONE


def new_token() -> str:
    """A secret nobody can guess: the prefix and 32 random bytes."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def token_hash(token: str) -> str:
    """What is stored of a token, and found by: its SHA-256. The secret is random, so nothing slower is needed."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def token_hint(token: str) -> str:
    """How a token is told from others without giving it away: its prefix and its last four characters."""
    return f"{PREFIX}…{token[-4:]}"


@dataclass(frozen=True)
class ApiKey:
    """A token as requests see it: what it may do, for whom, and who answers for it."""

    token_id: int
    name: str
    scope: Scope
    company_id: int | None
    last_used_at: datetime | None


def token_is_live(
    *, revoked_at: datetime | None, expires_at: datetime | None, maker_may_make: bool, now: datetime
) -> bool:
    """Whether a token opens anything: not revoked, not expired, and its maker could still make it.

    A token ends with the deactivation of the person who made it, and when they lose the right to make tokens:
    what somebody may no longer do they must not do through a machine either.
    """
    return revoked_at is None and (expires_at is None or now < expires_at) and maker_may_make
