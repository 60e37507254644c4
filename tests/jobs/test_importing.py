"""Jobs and quotes from a file: brought in once, brought in line by the next file, never doubled."""

import pytest
from sqlalchemy import select

from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.extensions import db
from portal.jobs.actions.items import set_lines
from portal.jobs.models import QuoteLine, QuoteOffer, WorkItem, WorkMove, WorkNotice
from portal.jobs.rules import Role, WorkKind
from portal.jobs.rules.amounts import LineGiven
from tests.conftest import NOW, Cast
from tests.jobs.conftest import role
from tests.records.bringing_in import applied, planned, sentences

ZONE = {"time_zone": "Europe/London"}

FIRST = """number,company,title,status,from,to,assignee,contact,circuit
WO-1,Alder Dental,Move the router,Scheduled,2026-07-01 09:00,2026-07-01 11:00,olaf@people.test,alice@people.test,CIR-1
WO-2,Birch Logistics,New line,,,,,,
"""


def items() -> dict[str | None, WorkItem]:
    found = db.session.scalars(select(WorkItem).execution_options(populate_existing=True))
    return {item.external_number: item for item in found}


def test_jobs_come_in_and_a_second_file_brings_them_in_line(cast: Cast) -> None:
    service = catalogue.add_service("Access", by=SYSTEM, now=NOW)
    holding = catalogue.add_holding(cast.a, service, reference="CIR-1", by=SYSTEM, now=NOW)
    db.session.commit()
    assert applied("jobs", FIRST, ZONE).counts["added"] == 2
    job = items()["WO-1"]
    assert (job.company_id, job.contact_id, job.assignee_id) == (cast.a.id, cast.alice.id, cast.olaf.id)
    assert (job.holding_id, job.status_id) == (holding.id, role(Role.SCHEDULED).id)
    assert job.starts_at is not None
    assert job.starts_at.isoformat() == "2026-07-01T08:00:00+00:00"
    assert items()["WO-2"].status_id == role(Role.REQUESTED).id
    again = applied("jobs", FIRST, ZONE)
    assert (again.counts.get("added", 0), again.counts.get("changed", 0), again.counts["unchanged"]) == (0, 0, 2)
    applied("jobs", "number,company,title,status\nWO-1,Alder Dental,Move it all,in PROGRESS\n", ZONE)
    job = items()["WO-1"]
    assert (job.title, job.title_key, job.status_id) == ("Move it all", "move it all", role(Role.IN_PROGRESS).id)
    assert job.public_status_id == role(Role.IN_PROGRESS).id
    assert job.assignee_id == cast.olaf.id
    moves = db.session.scalars(select(WorkMove.status_id).where(WorkMove.item_id == job.id).order_by(WorkMove.id))
    assert list(moves) == [role(Role.SCHEDULED).id, role(Role.IN_PROGRESS).id]
    assert len(items()) == 2
    assert db.session.scalars(select(WorkNotice)).all() == []


def test_quotes_have_a_last_day_and_finished_work_is_taken_up_again(cast: Cast) -> None:
    head = "quote number,company,title,status,valid until\n"
    applied("quotes", f"{head}E-1,Alder Dental,Handsets,Declined,2026-12-31\n", ZONE)
    quote = items()["E-1"]
    assert (quote.kind, str(quote.valid_until), quote.finished_at is not None) == (WorkKind.QUOTE, "2026-12-31", True)
    applied("quotes", f"{head}E-1,Alder Dental,Handsets,Sent,\n", ZONE)
    quote = items()["E-1"]
    assert (quote.finished_at, str(quote.valid_until)) == (None, "2026-12-31")
    assert quote.status_id == role(Role.SENT, WorkKind.QUOTE).id


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("WO-1,Nobody Ltd,T,,,,", "Nobody Ltd"),
        ("WO-1,Alder Dental,,,,,", "the title is missing"),
        ("WO-1,Alder Dental,T,Sleeping,,,", "there is no status called Sleeping"),
        ("WO-1,Alder Dental,T,,someday,,", "someday is no time"),
        ("WO-1,Alder Dental,T,,2026-03-29 01:30,,", "does not exist"),
        ("WO-1,Alder Dental,T,,2026-07-01 09:00,2026-07-01 08:00,", "its end lies before its beginning"),
        ("WO-1,Alder Dental,T,,,,alice@people.test", "is not of the staff"),
        ("WO-0,Birch Logistics,T,,,,", "is of another company"),
    ],
)
def test_a_row_that_cannot_come_in_says_why(cast: Cast, row: str, sentence: str) -> None:
    head = "number,company,title,status,from,to,assignee\n"
    applied("jobs", f"{head}WO-0,Alder Dental,First,,,,\n", ZONE)
    run = planned("jobs", f"{head}{row}\nWO-9,Alder Dental,Good,,,,\nWO-9,Alder Dental,Twice,,,,\n", ZONE)
    told = sentences(run)
    assert len(told) == 2
    assert sentence in told[0]
    assert "row 3 already" in told[1]


PRICED = "quote number,company,title,status,net amount,vat,currency\n"


def lines(number: str) -> list[tuple[str, int, int, int]]:
    found = db.session.scalars(
        select(QuoteLine)
        .where(QuoteLine.item_id == items()[number].id)
        .order_by(QuoteLine.position)
        .execution_options(populate_existing=True)
    )
    return [(each.description, each.quantity_thousandths, each.unit_price_minor, each.tax_hundredths) for each in found]


def test_quotes_come_with_their_amount_and_a_second_file_never_doubles_it(cast: Cast) -> None:
    first = (
        f'{PRICED}E-1,Alder Dental,Handsets,Sent,"1,250.00",20,eur\n'
        "E-2,Alder Dental,Survey,,480,,\nE-3,Alder Dental,Call,,,,\n"
    )
    assert applied("quotes", first, ZONE).counts["added"] == 3
    assert lines("E-1") == [("Handsets", 1000, 125_000, 2000)]
    assert lines("E-2") == [("Survey", 1000, 48_000, 0)]
    assert lines("E-3") == []
    quote = items()["E-1"]
    assert (quote.currency, items()["E-2"].currency) == ("EUR", "GBP")
    offers = select(QuoteOffer).where(QuoteOffer.item_id == quote.id).order_by(QuoteOffer.number)
    assert [offer.content["lines"][0]["unit_price_minor"] for offer in db.session.scalars(offers)] == [125_000]
    again = applied("quotes", first, ZONE)
    assert (again.counts.get("added", 0), again.counts.get("changed", 0), again.counts["unchanged"]) == (0, 0, 3)
    revision = quote.public_revision
    assert applied("quotes", f"{PRICED}E-1,Alder Dental,Handsets,,1300.5,,\n", ZONE).counts["changed"] == 1
    assert lines("E-1") == [("Handsets", 1000, 130_050, 2000)]
    assert items()["E-1"].public_revision > revision
    assert [offer.content["lines"][0]["unit_price_minor"] for offer in db.session.scalars(offers)] == [125_000, 130_050]


def test_an_amount_and_a_status_of_one_row_both_come_in(cast: Cast) -> None:
    applied("quotes", f"{PRICED}E-1,Alder Dental,Handsets,,100,,\n", ZONE)
    applied("quotes", f"{PRICED}E-1,Alder Dental,Handsets,Sent,120,19,\n", ZONE)
    quote = items()["E-1"]
    assert (lines("E-1"), quote.status_id) == (
        [("Handsets", 1000, 12_000, 1900)],
        role(Role.SENT, WorkKind.QUOTE).id,
    )
    offers = db.session.scalars(select(QuoteOffer).where(QuoteOffer.item_id == quote.id)).all()
    assert [offer.content["lines"][0]["unit_price_minor"] for offer in offers] == [12_000]


def test_lines_made_in_the_portal_stay(cast: Cast) -> None:
    applied("quotes", f"{PRICED}E-1,Alder Dental,Handsets,,,,\n", ZONE)
    quote = items()["E-1"]
    given = [LineGiven("Handsets", 4000, 10_000, 2000), LineGiven("Fitting", 1000, 5_000, 2000)]
    set_lines(quote, given, version=quote.version, by=SYSTEM, now=NOW)
    db.session.commit()
    assert applied("quotes", f"{PRICED}E-1,Alder Dental,Handsets,,450,20,\n", ZONE).counts["unchanged"] == 1
    run = planned("quotes", f"{PRICED}E-1,Alder Dental,Handsets,,500,,\n", ZONE)
    assert "has 2 lines, which an import does not replace" in sentences(run)[0]
    assert len(lines("E-1")) == 2


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ("lots,20,", "lots is no amount such as 1,250.00"),
        ("12.345,20,", "12.345 is no amount"),
        ("-5,20,", "-5 is not between 0 and 100,000,000"),
        ("100,twenty,", "twenty is no percentage such as 20"),
        ("100,120,", "120 is not between 0 and 100"),
        (",20,", "it says a tax and no amount"),
        ("100,20,BTC", "BTC is none of the currencies"),
    ],
)
def test_an_amount_that_cannot_be_read_is_named_by_its_row(cast: Cast, cells: str, sentence: str) -> None:
    run = planned("quotes", f"{PRICED}E-0,Alder Dental,Good,,10,,\nE-1,Alder Dental,Handsets,,{cells}\n", ZONE)
    told = sentences(run)
    assert len(told) == 1
    assert told[0].startswith("Row 3: ")
    assert sentence in told[0]
