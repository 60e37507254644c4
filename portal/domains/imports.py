"""Bringing in companies with their home portal domain, without which nobody of theirs could sign in."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select, update

from portal import events
from portal.accounts.actions.links import invite
from portal.accounts.imports import COMPANY_COLUMNS, CompanyImport
from portal.accounts.models import Person
from portal.audit import actions as audit
from portal.audit.rules import Actor, Noted
from portal.domains.models import Admission, PortalDomain
from portal.domains.queries import all_domains
from portal.domains.rules import normal_host
from portal.extensions import db
from portal.records.bulk import insert_all, pieces
from portal.records.kinds import FollowUp, ImportKind, Option, kind_named, register
from portal.records.rules import Verdict
from portal.records.rules.columns import Column
from portal.records.rules.judging import Change, Judged, Refusal, Row, refused, verdict_of

PORTAL = Column(
    "portal",
    "Home portal",
    ("portal domain", "portal", "host", "domain", "Portaladresse", "Heimatportal"),
    hint="The host or the brand of the portal domain where its people sign in.",
    examples=("", ""),
)


class CompanyWithHomeImport:
    """A file of companies, each with its home portal: from its row, else, for a new one, as chosen for all."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self.companies = CompanyImport()
        self.domains = {domain.id: domain for domain in all_domains()}
        self.names: dict[str, int] = {}
        for domain in self.domains.values():
            self.names |= {domain.host.casefold(): domain.id, domain.brand.casefold(): domain.id}
        chosen = options.get("home", "")
        self.home_id = int(chosen) if chosen.isdigit() and int(chosen) in self.domains else None

    def judge(self, rows: Sequence[Row]) -> list[Judged]:
        """As the companies are judged, and where they would be at home; one query more for a piece."""
        judged = self.companies.judge(rows)
        homes = _homes_of([each.row_id for each in judged if each.row_id])
        return [self._with_home(row, each, homes) for row, each in zip(rows, judged, strict=True)]

    def _with_home(self, row: Row, judged: Judged, homes: Mapping[int, int]) -> Judged:
        if judged.verdict is Verdict.REFUSED:
            return judged
        try:
            given = self._meant_by(row.get("portal"))
        except Refusal as refusal:
            return refused(row.number, judged.label, refusal)
        if judged.row_id is None:
            return replace(judged, values={**judged.values, "home_id": given or self.home_id})
        present = homes.get(judged.row_id)
        if given is None or given == present:
            return judged
        before = self.domains[present].host if present in self.domains else ""
        changes = (*judged.changes, Change("Home portal", before, self.domains[given].host))
        values = {**judged.values, "home_id": given}
        return replace(judged, verdict=verdict_of(judged.row_id, changes), changes=changes, values=values)

    def _meant_by(self, text: str) -> int | None:
        if not text:
            return None
        found = self.names.get(text.casefold()) or self.names.get(
            normal_host(text.rsplit("://", maxsplit=1)[-1].rstrip("/"))
        )
        if found is None:
            raise Refusal(f"there is no portal domain called {text[:80]}, add it under Setup first")
        return found

    def write(self, judged: Sequence[Judged], *, by: Actor, now: datetime) -> Mapping[int, int]:
        """Add and change the companies, then admit them to their homes."""
        ids = self.companies.write(judged, by=by, now=now)
        homes = {ids[each.number]: int(each.values["home_id"]) for each in judged if each.values.get("home_id")}
        known = {company_id for each in judged if (company_id := each.row_id) in homes}
        self._move(known, homes)
        new = [{"company_id": each, "domain_id": homes[each], "is_home": True} for each in homes if each not in known]
        insert_all(Admission, new)
        noted = [Noted(domain_id, each, after={"is_home": True}) for each, domain_id in homes.items()]
        audit.record_many("portal.admit", noted, object_kind="portal", by=by, now=now)
        return ids

    def _move(self, known: set[int], homes: Mapping[int, int]) -> None:
        """Companies that exist leave their old home, which admits them still, for the new one."""
        for piece in pieces(known):
            of_these = Admission.company_id.in_(piece)
            db.session.execute(update(Admission).where(of_these, Admission.is_home).values(is_home=False))
            rows = db.session.execute(select(Admission.company_id, Admission.domain_id).where(of_these))
            there = {(company_id, domain_id) for company_id, domain_id in rows}
            for domain_id in {homes[each] for each in piece}:
                moved = [each for each in piece if homes[each] == domain_id and (each, domain_id) in there]
                db.session.execute(
                    update(Admission)
                    .where(Admission.company_id.in_(moved), Admission.domain_id == domain_id)
                    .values(is_home=True)
                )
            insert_all(
                Admission,
                [
                    {"company_id": each, "domain_id": homes[each], "is_home": True}
                    for each in piece
                    if (each, homes[each]) not in there
                ],
            )

    def finish(self, *, by: Actor, now: datetime) -> None:
        """Staff see the companies, and they come to hold what every company holds."""
        self.companies.finish(by=by, now=now)
        events.wake("hold_global_services")


def _homes_of(company_ids: Sequence[int]) -> dict[int, int]:
    """The home portal domain of each of these companies that has one."""
    found: dict[int, int] = {}
    for piece in pieces(company_ids):
        rows = db.session.execute(
            select(Admission.company_id, Admission.domain_id).where(Admission.company_id.in_(piece), Admission.is_home)
        )
        found.update((company_id, domain_id) for company_id, domain_id in rows)
    return found


def _homes_offered() -> list[tuple[str, str]]:
    """Every portal domain; the only one first, else nothing chosen first, because a wrong home is hard to see."""
    domains: Sequence[PortalDomain] = all_domains()
    offered = [(str(domain.id), f"{domain.brand} ({domain.host})") for domain in domains]
    return [*offered, ("", "None yet")] if len(offered) == 1 else [("", "None yet"), *offered]


register(
    ImportKind(
        "companies",
        "Companies",
        "company",
        "companies",
        "One row for each company, found again by its reference, else by its name.",
        (*COMPANY_COLUMNS, PORTAL),
        CompanyWithHomeImport,
        options=(Option("home", "Home portal", "For new companies whose row names none.", _homes_offered),),
        place=10,
    )
)


def _invite(person_ids: Sequence[int], by: Actor, now: datetime) -> None:
    """Invite those of these people who can still be invited."""
    people = select(Person).where(Person.id.in_(person_ids)).order_by(Person.id)
    for person in db.session.scalars(people).all():
        if person.password_hash is None and person.deactivated_at is None:
            invite(person, by=by, now=now)


_INVITE = Option(
    "invite",
    "Invitations",
    "An invitation is a mail with a link to choose a password. Without one, nobody is mailed.",
    lambda: [("", "Send none"), ("now", "Invite everybody who is new, once the rows are in")],
)
register(replace(kind_named("people"), follow_up=FollowUp(_INVITE, "Inviting", _invite)))
