"""In which colours a portal domain shows the service statuses to its customers."""

import re
from collections.abc import Mapping
from datetime import datetime

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.models import PortalDomain
from portal.domains.rules.wordings import WORDED
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db

_COLOUR = re.compile(r"#[0-9a-f]{6}")


def set_status_colors(
    domain: PortalDomain, colors: Mapping[str, str], *, version: int, by: Actor, now: datetime
) -> int:
    """Show these statuses in these colours on this domain, from the next page on; returns how many are its own.

    `colors` are #rrggbb by the status's value; what is left out or empty is coloured as everywhere. Two statuses may
    not have the same one. Raises RuleViolation with the value as its field.
    """
    if domain.version != version:
        raise StaleEdit
    chosen: dict[str, str] = {}
    for value in WORDED["service"]:
        color = colors.get(value, "").strip().lower()
        if not color:
            continue
        if not _COLOUR.fullmatch(color):
            raise RuleViolation("The colour must be written like #2457d6.", value)
        if color in chosen.values():
            raise RuleViolation("Another status has this colour already.", value)
        chosen[value] = color
    before = domain.status_colors
    if chosen == before:
        return len(chosen)
    domain.status_colors = chosen
    db.session.flush()
    events.ring(events.public_topic(domain.id), events.STAFF)
    audit.record(
        "portal.status_colors", object_kind="portal", object_id=domain.id, by=by, now=now, before=before, after=chosen
    )
    return len(chosen)
