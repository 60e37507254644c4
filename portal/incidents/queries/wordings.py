"""The texts of reports as somebody reads them: the only place that picks among wordings and languages.

Staff read originals. Everybody else reads as `rules.languages.told_in` says, in the language that is spoken; a test
holds the two together.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from sqlalchemy import JSON, ColumnElement, bindparam, func, null, select, type_coerce
from sqlalchemy.orm.attributes import set_committed_value

from portal.accounts.models import Company
from portal.accounts.rules import Viewpoint
from portal.domains.models import Admission, PortalDomain
from portal.extensions import db
from portal.incidents.models import Incident, IncidentUpdate, IncidentWording, Maintenance, Postmortem
from portal.incidents.queries.conditions import given
from portal.incidents.rules.languages import told_in
from portal.incidents.rules.wordings import Wording
from portal.language import current


def body_for(viewpoint: Viewpoint, company_id: Any = None, language: Any = None) -> ColumnElement[str]:
    """What an update says to this viewpoint: the company's own wording, else that of its home domain, else its text.

    Each in the language that is spoken, else as it was written. Staff read its text, and anybody signed out that or its
    translation. `company_id` and `language` stand for those of the viewpoint where a statement is built once for all.
    """
    if viewpoint.is_staff:
        return IncidentUpdate.body  # type: ignore[return-value]  # a column is its own expression
    spoken = current() if language is None else language
    general = _in(spoken, IncidentUpdate.body, IncidentUpdate.bodies)
    if viewpoint.company_id is None:
        return general
    return func.coalesce(_own_words(viewpoint.company_id if company_id is None else company_id, spoken), general)


def body_for_kind(kind: Viewpoint) -> ColumnElement[str]:
    """The same for a `kind_of` viewpoint; for whom, `company_id` and `language`, is said when it is executed."""
    return body_for(kind, given()[1], given_language())


def text_for(viewpoint: Viewpoint, original: Any, texts: Any, language: Any = None) -> ColumnElement[str]:
    """What a text without wordings, such as a title, says to this viewpoint in the language that is spoken."""
    return original if viewpoint.is_staff else _in(current() if language is None else language, original, texts)


def text_for_kind(kind: Viewpoint, original: Any, texts: Any) -> ColumnElement[str]:
    """The same for a `kind_of` viewpoint; the `language` is said when the statement is executed."""
    return text_for(kind, original, texts, given_language())


def given_language() -> Any:
    """The language that a statement built once is executed for, as `language`."""
    return bindparam("language", type_=JSON.JSONStrIndexType())


def own_words_for(viewpoint: Viewpoint, *, as_written: bool = False) -> ColumnElement[str | None]:
    """What loads an update's own words for this viewpoint with it, for `worded`; `as_written`, in no other language."""
    if viewpoint.is_staff or viewpoint.company_id is None:
        return func.nullif("", "")
    return _own_words(viewpoint.company_id, None if as_written else current())


def own_bodies_for(viewpoint: Viewpoint) -> ColumnElement[Any]:
    """What loads them in other languages, for machines that are given all: none of another wording's."""
    if viewpoint.is_staff or viewpoint.company_id is None:
        return type_coerce(null(), JSON(none_as_null=True))
    return type_coerce(_picked(viewpoint.company_id, lambda: IncidentWording.texts), JSON(none_as_null=True))


def worded(updates: Iterable[IncidentUpdate], viewpoint: Viewpoint) -> None:
    """Have updates that were loaded with their own words for this viewpoint say those. They must not be written."""
    if viewpoint.is_staff:
        return
    language = current()
    for each in updates:
        own: list[tuple[str, dict[str, str]]] = [(each.own_words, {})] if each.own_words is not None else []
        set_committed_value(each, "body", told_in(language, each.body, each.bodies, own))


def worded_as_written(updates: Iterable[IncidentUpdate]) -> None:
    """The same for a machine that is given every language: their own words, and what these are in other languages."""
    for each in updates:
        if each.own_words is not None:
            set_committed_value(each, "body", each.own_words)
            set_committed_value(each, "bodies", each.own_bodies or {})


def worded_incidents(incidents: Iterable[Incident], viewpoint: Viewpoint) -> None:
    """Have loaded incidents say their titles and timelines to this viewpoint. They must not be written."""
    for incident in incidents:
        titled([incident], viewpoint)
        worded(incident.updates, viewpoint)


def titled(found: Iterable[Incident | Maintenance], viewpoint: Viewpoint) -> None:
    """The same for the titles alone."""
    if viewpoint.is_staff:
        return
    language = current()
    for each in found:
        set_committed_value(each, "title", told_in(language, each.title, each.titles))


def titles_for(found: Iterable[Incident | Maintenance], viewpoint: Viewpoint) -> dict[int, str]:
    """What each of these is called to this viewpoint, by id; the rows stay as they are. No query."""
    language = current()
    return {each.id: each.title if viewpoint.is_staff else told_in(language, each.title, each.titles) for each in found}


def worded_maintenance(found: Iterable[Maintenance], viewpoint: Viewpoint) -> None:
    """The same for maintenance with its timeline."""
    if viewpoint.is_staff:
        return
    language = current()
    for each in found:
        titled([each], viewpoint)
        for update in each.updates:
            set_committed_value(update, "body", told_in(language, update.body, update.bodies))


def worded_postmortems(found: Iterable[Postmortem], viewpoint: Viewpoint) -> None:
    """The same for postmortems."""
    if viewpoint.is_staff:
        return
    language = current()
    for each in found:
        set_committed_value(each, "body", told_in(language, each.body, each.bodies))


def _in(language: Any, original: Any, texts: Any) -> ColumnElement[Any]:
    return func.coalesce(texts[language].as_string(), original)


def _own_words(company_id: Any, language: Any) -> ColumnElement[Any]:
    def said() -> Any:
        if language is None:
            return IncidentWording.text
        return _in(language, IncidentWording.text, IncidentWording.texts)

    return _picked(company_id, said)


def _picked(company_id: Any, said: Callable[[], Any]) -> ColumnElement[Any]:
    of_company = (
        select(said())
        .where(IncidentWording.update_id == IncidentUpdate.id, IncidentWording.company_id == company_id)
        .correlate(IncidentUpdate)
        .scalar_subquery()
    )
    of_home = (
        select(said())
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
        found.setdefault(row.update_id, []).append(Wording(row.text, row.company_id, row.domain_id, row.texts))
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
