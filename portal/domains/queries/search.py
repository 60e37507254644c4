"""Portal domains by brand, address, or any other name that leads to them."""

from typing import NamedTuple

from sqlalchemy import select

from portal.accounts.rules import Viewpoint
from portal.domains.models import PortalDomain, PortalHost
from portal.extensions import db
from portal.searching import INSIDE_FROM, NOTHING, Matches, key_of


class DomainHit(NamedTuple):
    """A portal domain that was found."""

    id: int
    brand: str
    host: str


def search_domains(viewpoint: Viewpoint, text: str, limit: int, offset: int | None = None) -> Matches[DomainHit]:
    """Portal domains, for staff only. There are few, so that all of them are looked at. Two queries."""
    wanted = key_of(text)
    if not viewpoint.is_staff or not wanted:
        return NOTHING
    hosts: dict[int, list[str]] = {}
    for domain_id, host in db.session.execute(select(PortalHost.domain_id, PortalHost.host)):
        hosts.setdefault(domain_id, []).append(host)
    found = []
    for hit in map(DomainHit._make, db.session.execute(select(PortalDomain.id, PortalDomain.brand, PortalDomain.host))):
        names = [key_of(hit.brand), hit.host, *hosts.get(hit.id, ())]
        rank = min(_rank(name, wanted) for name in names)
        if rank < _NO_MATCH:
            found.append((rank, names[0], hit))
    found.sort()
    begin = offset or 0
    items = [hit for _, _, hit in found[begin : begin + limit]]
    is_exact = bool(items) and not begin and found[0][0] == 0
    total = len(found) if offset is not None else None
    return Matches(items, total, has_more=len(found) > begin + limit, is_exact=is_exact)


_NO_MATCH = 3


def _rank(name: str, wanted: str) -> int:
    if name == wanted:
        return 0
    if name.startswith(wanted):
        return 1
    return 2 if len(wanted) >= INSIDE_FROM and wanted in name else _NO_MATCH
