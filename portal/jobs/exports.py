"""What goes out of jobs and quotes: what a company reads on its pages, in the public words of today, and no other."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, select

from portal.jobs.models import QuoteAnswer, QuoteOffer, WorkItem
from portal.jobs.queries import settings_of
from portal.jobs.queries.public import shown_status
from portal.jobs.rules import WorkKind, written_number
from portal.records.parts import Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind

WORK = {
    "kind": "Kind",
    "number": "Number",
    "title": "Title",
    "site": "Site",
    "description": "Description",
    "starts_at": "From",
    "ends_at": "To",
    "status": "Status",
    "since": "Since",
}

ANSWERS = {
    "number": "Quote",
    "offer": "Version",
    "answer": "Answer",
    "name": "Name",
    "reason": "Reason",
    "at": "When",
    "hash": "Hash of what was shown",
    "withdrawn_at": "Taken back",
}


def _work(company_id: int | None, now: datetime) -> Iterator[Told]:
    for kind in WorkKind:
        table = settings_of(kind).table
        statement = select(
            WorkItem.number,
            WorkItem.title,
            WorkItem.site,
            WorkItem.description,
            WorkItem.starts_at,
            WorkItem.ends_at,
            WorkItem.public_status_id,
            WorkItem.public_since.label("since"),
        ).where(WorkItem.company_id == company_id, WorkItem.kind == kind, WorkItem.public_status_id.is_not(None))
        for row in in_pieces(statement, WorkItem.id):
            told = row._mapping
            yield {
                **{name: told[name] for name in WORK if name in told},
                "kind": kind.value,
                "number": written_number(kind, row.number),
                "status": shown_status(table, row.public_status_id).name,
            }


def _answers_where(condition: ColumnElement[bool]) -> Iterator[Told]:
    statement = (
        select(
            WorkItem.number,
            QuoteOffer.number.label("offer"),
            QuoteAnswer.is_accepted,
            QuoteAnswer.name,
            QuoteAnswer.reason,
            QuoteAnswer.at,
            QuoteOffer.hash,
            QuoteAnswer.withdrawn_at,
        )
        .join(QuoteOffer, QuoteOffer.id == QuoteAnswer.offer_id)
        .join(WorkItem, WorkItem.id == QuoteAnswer.item_id)
        .where(condition)
    )
    for row in in_pieces(statement, QuoteAnswer.id):
        told = row._mapping
        yield {
            **{name: told[name] for name in ANSWERS if name in told},
            "number": written_number(WorkKind.QUOTE, row.number),
            "answer": "accepted" if row.is_accepted else "declined",
        }


def _answers_of_company(company_id: int | None, now: datetime) -> Iterator[Told]:
    yield from _answers_where(WorkItem.company_id == company_id)


def _answers_of_person(person_id: int | None, now: datetime) -> Iterator[Told]:
    yield from _answers_where(QuoteAnswer.person_id == person_id)


register(Part(ExportKind.COMPANY, "work", "jobs and quotes as they stand on its portal", WORK, _work, 35))
register(Part(ExportKind.COMPANY, "answers", "answers to quotes", ANSWERS, _answers_of_company, 36))
register(Part(ExportKind.PERSON, "answers", "quotes they accepted or declined", ANSWERS, _answers_of_person, 36))
