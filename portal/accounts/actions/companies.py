"""The only writers of companies."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm.attributes import flag_modified

from portal import events
from portal.accounts.actions.sessions import end_session
from portal.accounts.models import Company, CompanyTag, Session
from portal.accounts.rules import one_line, tags_of, text_key
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db


def add_company(name: str, *, by: Actor, now: datetime) -> Company:
    """Add a company. Names are unique when compared without case."""
    name = _company_name(name)
    company = Company(name=name, name_key=text_key(name), created_at=now)
    db.session.add(company)
    db.session.flush()
    audit.record(
        "company.add",
        object_kind="company",
        object_id=company.id,
        company_id=company.id,
        by=by,
        now=now,
        after={"name": name},
    )
    return company


def rename_company(company: Company, name: str, *, version: int, by: Actor, now: datetime) -> None:
    """Give the company another name; the same rules hold as for a new one."""
    if company.version != version:
        raise StaleEdit
    name = _company_name(name, other_than=company.id)
    if name == company.name:
        return
    before = company.name
    company.name, company.name_key = name, text_key(name)
    db.session.flush()
    events.ring(events.company_topic(company.id), events.STAFF)
    audit.record(
        "company.rename",
        object_kind="company",
        object_id=company.id,
        company_id=company.id,
        by=by,
        now=now,
        before={"name": before},
        after={"name": name},
    )


def tag_company(company: Company, words: Iterable[str], *, version: int, by: Actor, now: datetime) -> None:
    """Give the company these tags and no others. RuleViolation with what is wrong with them."""
    if company.version != version:
        raise StaleEdit
    try:
        wanted = tags_of(words)
    except ValueError as error:
        raise RuleViolation(str(error), "tags") from None
    rows = db.session.scalars(select(CompanyTag).where(CompanyTag.company_id == company.id)).all()
    before = {row.tag_key: row.tag for row in rows}
    if before == wanted:
        return
    for row in rows:
        if row.tag_key in wanted:
            row.tag = wanted[row.tag_key]
        else:
            db.session.delete(row)
    for key in wanted.keys() - before.keys():
        db.session.add(CompanyTag(company_id=company.id, tag_key=key, tag=wanted[key]))
    # Rows of its own may be all that changed, and whoever has the form open must notice that too.
    flag_modified(company, "name")
    db.session.flush()
    events.ring(events.STAFF)
    audit.record(
        "company.tag",
        object_kind="company",
        object_id=company.id,
        company_id=company.id,
        by=by,
        now=now,
        before={"tags": sorted(before.values())},
        after={"tags": sorted(wanted.values())},
    )


def archive_company(company: Company, *, version: int, by: Actor, now: datetime) -> None:
    """Close the books on a company: nobody signs in or is mailed for it any more. Its history stays."""
    if company.version != version:
        raise StaleEdit
    if company.archived_at:
        return
    company.archived_at = now
    db.session.flush()
    for session_id in db.session.scalars(
        select(Session.id).where(Session.company_id == company.id, Session.revoked_at.is_(None))
    ).all():
        end_session(session_id, by=by, now=now)
    events.ring(events.company_topic(company.id), events.STAFF)
    audit.record("company.archive", object_kind="company", object_id=company.id, company_id=company.id, by=by, now=now)


def restore_company(company: Company, *, version: int, by: Actor, now: datetime) -> None:
    """Take an archived company back, with its people."""
    if company.version != version:
        raise StaleEdit
    company.archived_at = None
    db.session.flush()
    events.ring(events.company_topic(company.id), events.STAFF)
    audit.record("company.restore", object_kind="company", object_id=company.id, company_id=company.id, by=by, now=now)


def _company_name(name: str, other_than: int = 0) -> str:
    """The name as it is stored; refused when empty, too long, or another company's."""
    name = one_line(name)
    if not name or max(len(name), len(text_key(name))) > 200:
        raise RuleViolation("Give the company a name of at most 200 characters.", "name")
    taken = select(Company.id).where(Company.name_key == text_key(name), Company.id != other_than)
    if db.session.scalar(taken):
        raise RuleViolation(f"There is already a company called {name}.", "name")
    return name
