"""The text of an update as somebody reads it: the only place that picks among its wordings."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm.attributes import set_committed_value

from portal.accounts.models import Company
from portal.accounts.rules import Viewpoint
from portal.domains.models import Admission, PortalDomain
from portal.extensions import db
from portal.incidents.models import Incident, IncidentUpdate, IncidentWording
from portal.incidents.queries.conditions import given
from portal.incidents.rules.wordings import Wording


def body_for(viewpoint: Viewpoint, company_id: Any = None) -> ColumnElement[str]:
    """What an update says to this viewpoint: the company's own wording, else that of its home domain, else its text.

    Staff and anybody signed out read its text. `company_id` stands for that of the viewpoint where a statement is
    built once for all companies.
    """
    if viewpoint.is_staff or viewpoint.company_id is None:
        return IncidentUpdate.body  # type: ignore[return-value]  # a column is its own expression
    return func.coalesce(_own_words(viewpoint.company_id if company_id is None else company_id), IncidentUpdate.body)


def body_for_kind(kind: Viewpoint) -> ColumnElement[str]:
    """The same for a `kind_of` viewpoint; whose it is, `company_id`, is said when the statement is executed."""
    return body_for(kind, given()[1])


def own_words_for(viewpoint: Viewpoint) -> ColumnElement[str | None]:
    """What loads an update's own words for this viewpoint with it, for `worded`."""
    if viewpoint.is_staff or viewpoint.company_id is None:
        return func.nullif("", "")
    return _own_words(viewpoint.company_id)


def worded(updates: Iterable[IncidentUpdate]) -> None:
    """Have updates that were loaded with their own words for somebody say those. They must not be written."""
    for each in updates:
        if each.own_words is not None:
            set_committed_value(each, "body", each.own_words)


def worded_incidents(incidents: Iterable[Incident]) -> None:
    """The same for the timelines of loaded incidents."""
    for incident in incidents:
        worded(incident.updates)


def _own_words(company_id: Any) -> ColumnElement[Any]:
    of_company = (
        select(IncidentWording.text)
        .where(IncidentWording.update_id == IncidentUpdate.id, IncidentWording.company_id == company_id)
        .correlate(IncidentUpdate)
        .scalar_subquery()
    )
    of_home = (
        select(IncidentWording.text)
        .join(Admission, Admission.domain_id == IncidentWording.domain_id)
        .where(IncidentWording.update_id == IncidentUpdate.id, Admission.company_id == company_id, Admission.is_home)
        .correlate(IncidentUpdate)
        .scalar_subquery()
    )
    return func.coalesce(of_company, of_home)


# For staff


def wordings_of(update_ids: Collection[int]) -> dict[int, list[Wording]]:
    """The wordings of these updates, companies first. One query."""
    found: dict[int, list[Wording]] = {}
    for row in db.session.scalars(
        select(IncidentWording)
        .where(IncidentWording.update_id.in_(update_ids))
        .order_by(IncidentWording.company_id.is_(None), IncidentWording.id)
    ):
        found.setdefault(row.update_id, []).append(Wording(row.text, row.company_id, row.domain_id))
    return found


def audience_names(wordings: Iterable[Wording]) -> dict[str, str]:
    """Whom each of these is for, in words, by key. At most two queries."""
    all_of_them = list(wordings)
    companies = {each.company_id for each in all_of_them if each.company_id is not None}
    domains = {each.domain_id for each in all_of_them if each.domain_id is not None}
    found: dict[str, str] = {}
    if companies:
        rows = db.session.execute(select(Company.id, Company.name).where(Company.id.in_(companies)))
        found |= {f"c{number}": name for number, name in rows}
    if domains:
        rows = db.session.execute(select(PortalDomain.id, PortalDomain.brand).where(PortalDomain.id.in_(domains)))
        found |= {f"d{number}": f"Everybody at {brand}" for number, brand in rows}
    return found
