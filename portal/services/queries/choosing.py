"""Which holdings of a service somebody means: all of them, or those that a text, a portal domain or numbers choose."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import contains_eager

from portal.accounts.models import Company
from portal.accounts.rules import text_key
from portal.catalogue.models import Holding, Service
from portal.catalogue.queries import is_valid
from portal.domains.models import Admission
from portal.extensions import db

AT_ONCE = 5000
"""Numbers in one statement: SQLite takes 32,766 values in one."""


@dataclass(frozen=True)
class Choice:
    """Which holders of a service: all, or those that fulfil everything that is named here.

    `text` stands in the company's name or the holding's reference, `domain_id` is where the company has its home.
    `numbers` are references of holdings or what another system of ours calls the company; None asks for none.
    """

    is_all: bool = False
    text: str = ""
    domain_id: int | None = None
    numbers: tuple[str, ...] | None = None

    @property
    def is_nobody(self) -> bool:
        """Whether nothing is named, which chooses nobody: everybody is chosen by name only."""
        return not self.is_all and not self.text and self.domain_id is None and not self.numbers


@dataclass(frozen=True)
class Chosen:
    """Holdings, ascending, of how many companies; and the numbers that no holder of the service goes by."""

    holding_ids: tuple[int, ...] = ()
    companies: int = 0
    unknown: tuple[str, ...] = ()


def holdings_chosen(service_id: int, choice: Choice, now: datetime) -> Chosen:
    """The holdings of this service that are meant. One query; for numbers two for each five thousand."""
    if choice.is_nobody:
        return Chosen()
    if choice.is_all or choice.numbers is None:
        return _chosen(db.session.execute(_narrowed(service_id, choice, now)), ())
    found: dict[int, int] = {}
    known: set[str] = set()
    for numbers in _pieces(choice.numbers):
        keys = {text_key(number) for number in numbers}
        by_reference = _held(service_id, now).where(Holding.reference_key.in_(keys))
        by_company = _held(service_id, now).where(Company.external_id.in_(numbers))
        for statement, is_of_company in ((by_reference, False), (by_company, True)):
            for row in db.session.execute(statement):
                found[row.id] = row.company_id
                known.add(row.external_id if is_of_company else row.reference_key)
    unknown = tuple(number for number in choice.numbers if number not in known and text_key(number) not in known)
    rows = db.session.execute(_narrowed(service_id, choice, now)) if choice.text or choice.domain_id else None
    wanted = {row.id for row in rows} if rows is not None else found.keys()
    return _chosen(((each, found[each]) for each in sorted(found) if each in wanted), unknown)


def holdings_named(holding_ids: Sequence[int], now: datetime) -> Sequence[Holding]:
    """These holdings as far as they are still held, with company and service, in the order of a list. One query."""
    return db.session.scalars(
        select(Holding)
        .join(Holding.company)
        .join(Holding.service)
        .options(contains_eager(Holding.company), contains_eager(Holding.service))
        .where(Holding.id.in_(holding_ids), is_valid(Holding, now))
        .where(Company.archived_at.is_(None), Service.archived_at.is_(None))
        .order_by(Company.name_key, Service.category, Service.position, Service.name_key, Holding.reference, Holding.id)
    ).all()


def _held(service_id: int, now: datetime) -> Select[*tuple[Any, ...]]:
    return (
        select(Holding.id, Holding.company_id, Holding.reference_key, Company.external_id)
        .join(Company, Company.id == Holding.company_id)
        .where(Holding.service_id == service_id, is_valid(Holding, now), Company.archived_at.is_(None))
    )


def _narrowed(service_id: int, choice: Choice, now: datetime) -> Select[*tuple[Any, ...]]:
    found = _held(service_id, now).order_by(Holding.id)
    if choice.is_all:
        return found
    if choice.text:
        wanted = text_key(choice.text)
        found = found.where(
            or_(
                Company.name_key.contains(wanted, autoescape=True),
                Holding.reference_key.contains(wanted, autoescape=True),
            )
        )
    if choice.domain_id is not None:
        at_home = select(Admission.company_id).where(Admission.domain_id == choice.domain_id, Admission.is_home)
        found = found.where(Company.id.in_(at_home))
    return found


def _chosen(rows: Any, unknown: tuple[str, ...]) -> Chosen:
    pairs = [(row[0], row[1]) for row in rows]
    return Chosen(tuple(each[0] for each in pairs), len({each[1] for each in pairs}), unknown)


def _pieces(numbers: Sequence[str]) -> list[Sequence[str]]:
    return [numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE)]
