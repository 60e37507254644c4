"""What the public page of a portal domain says, and to whom it shows itself."""

from datetime import datetime

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.models import PortalDomain
from portal.errors import StaleEdit
from portal.extensions import db

SETTINGS = ("is_indexed", "says_maintenance", "shows_global_services", "rooms_sign_up")


def set_public_page(
    domain: PortalDomain,
    *,
    is_indexed: bool,
    says_maintenance: bool,
    shows_global_services: bool,
    rooms_sign_up: bool,
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Every switch as it should be; PortalDomain says what each is. It counts from the next look at the page."""
    if domain.version != version:
        raise StaleEdit
    before = {name: getattr(domain, name) for name in SETTINGS}
    after = {
        "is_indexed": is_indexed,
        "says_maintenance": says_maintenance,
        "shows_global_services": shows_global_services,
        "rooms_sign_up": rooms_sign_up,
    }
    if before == after:
        return
    for name, value in after.items():
        setattr(domain, name, value)
    db.session.flush()
    events.ring(events.public_topic(domain.id), events.STAFF)
    audit.record(
        "portal.public_page", object_kind="portal", object_id=domain.id, by=by, now=now, before=before, after=after
    )
