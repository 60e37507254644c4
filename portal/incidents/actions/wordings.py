"""What some are told in words of their own: writing the wordings of an update down, and correcting them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm.attributes import flag_modified

from portal import events
from portal.accounts.models import Company
from portal.audit.rules import Actor
from portal.domains.models import PortalDomain
from portal.domains.queries import domains_showing_status
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.languages import clean_texts, keep_texts
from portal.incidents.actions.revisions import keep
from portal.incidents.actions.writing import clean_body, note
from portal.incidents.models import Incident, IncidentUpdate, IncidentWording
from portal.incidents.queries.wordings import wordings_of
from portal.incidents.rules import Visibility
from portal.incidents.rules.revisions import Revised
from portal.incidents.rules.wordings import WORDINGS_AT_MOST, Wording


def checked_wordings(wordings: Iterable[Wording]) -> list[Wording]:
    """The wordings as they are stored; RuleViolation at `wordings` where one cannot be. At most two queries."""
    found: list[Wording] = []
    for each in wordings:
        try:
            text = clean_body(each.text)
        except RuleViolation as violation:
            sentence = (
                violation.sentence if each.text.strip() else "Write what they are told, or take the wording away."
            )
            raise RuleViolation(sentence, "wordings") from violation
        found.append(Wording(text, each.company_id, each.domain_id, clean_texts(each.texts, clean_body)))
    if len(found) > WORDINGS_AT_MOST:
        raise RuleViolation(f"One update has at most {WORDINGS_AT_MOST} wordings of their own.", "wordings")
    if len({each.key for each in found}) < len(found):
        raise RuleViolation("Two of the wordings are for the same readers.", "wordings")
    _check_there(Company.id, Company.archived_at.is_(None), {each.company_id for each in found if each.company_id})
    _check_there(PortalDomain.id, PortalDomain.id > 0, {each.domain_id for each in found if each.domain_id})
    return found


def write_wordings(update: IncidentUpdate, wordings: Iterable[Wording]) -> None:
    """Write the wordings of an update that has none yet; RuleViolation at `wordings`."""
    checked = checked_wordings(wordings)
    if checked and update.visibility is Visibility.PRIVATE:
        raise RuleViolation("A private update is for staff only: it has no wordings for customers.", "wordings")
    for each in checked:
        db.session.add(
            IncidentWording(
                update_id=update.id,
                company_id=each.company_id,
                domain_id=each.domain_id,
                text=each.text,
                texts=dict(each.texts),
            )
        )
    db.session.flush()


def edit_wordings(
    update: IncidentUpdate,
    incident: Incident,
    wordings: Sequence[Wording],
    *,
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Replace the wordings of an update; nothing is mailed again. The same wordings again are no change.

    Only those are rung who read something else now.
    """
    if incident.version != version:
        raise StaleEdit
    before = {each.key: each for each in wordings_of([update.id]).get(update.id, [])}
    after = {each.key: each for each in checked_wordings(wordings)}
    if before == after:
        return
    is_seen = incident.visibility is Visibility.PUBLIC and update.visibility is Visibility.PUBLIC
    for key in sorted(before.keys() | after.keys()):
        keep(
            incident,
            Revised.WORDING,
            before[key].text if key in before else "",
            after[key].text if key in after else "",
            part_id=update.id,
            since=update.posted_at,
            was_seen=is_seen and key in before,
            by=by,
            now=now,
        )
        keep_texts(
            incident,
            Revised.WORDING_IN,
            before[key].texts if key in before else {},
            after[key].texts if key in after else {},
            part_id=update.id,
            since=update.posted_at,
            was_seen=is_seen and key in before,
            by=by,
            now=now,
        )
    db.session.execute(delete(IncidentWording).where(IncidentWording.update_id == update.id))
    write_wordings(update, after.values())
    flag_modified(incident, "title")
    db.session.flush()
    if incident.visibility is Visibility.PUBLIC and update.visibility is Visibility.PUBLIC:
        changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        ring_readers([(after.get(key) or before[key]) for key in changed])
    events.ring(events.STAFF)
    note(
        "incident.edit_wordings",
        incident,
        by=by,
        now=now,
        before={"update_id": update.id, "wordings": _said(before)},
        after={"update_id": update.id, "wordings": _said(after)},
    )


def _said(wordings: Mapping[str, Wording]) -> dict[str, Any]:
    return {key: {"": each.text, **each.texts} if each.texts else each.text for key, each in wordings.items()}


def ring_readers(wordings: Collection[Wording]) -> None:
    """Ring the pages of those who read these."""
    shown = set(domains_showing_status())
    for each in wordings:
        if each.company_id is not None:
            events.ring(events.company_topic(each.company_id))
        elif each.domain_id in shown:
            events.ring(events.public_topic(each.domain_id))


def _check_there(column: object, condition: object, ids: Collection[int]) -> None:
    if not ids:
        return
    there = db.session.scalars(select(column).where(column.in_(ids), condition)).all()  # type: ignore[attr-defined,call-overload]
    if len(there) < len(ids):
        raise RuleViolation("Somebody whom a wording is for is no longer there. Choose them again.", "wordings")
