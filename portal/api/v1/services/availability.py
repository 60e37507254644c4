"""`/api/v1/availability`: what each company had of what it holds in a month, and by which rule that is counted."""

from collections.abc import Mapping
from datetime import timedelta
from html import unescape
from typing import Any

from flask import get_template_attribute
from marshmallow import fields

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Moment, Number, Percent, Switch, SwitchInAddress, Text, Word
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.api.v1.services.views import view
from portal.domains.rules import Area
from portal.errors import NotFound, RuleViolation
from portal.extensions import db
from portal.incidents.actions.availability import change_rule
from portal.incidents.queries.availability import Rule, rule_in, rules_set, this_month
from portal.incidents.rules.availability import NOTICE_AT_MOST, Counts, Month, Terms, Weights
from portal.keyset import Order, Piece, piece_among
from portal.searching import key_of
from portal.services.queries.behind import Cause, Source
from portal.services.queries.ledger import (
    CompanyMonth,
    Line,
    Named,
    Summary,
    company_month,
    names_of,
    summaries,
    zone_of,
)
from portal.services.sheets import title_of

blueprint = Resources(
    Resource.AVAILABILITY,
    Area.SERVICES,
    about=(
        "What companies had of what they hold in a calendar month, against what was promised. A month that is over "
        "keeps its figures, whatever is agreed later. A company’s token sees its own months, where its portal shows "
        "them."
    ),
)

MONTH = "/<int:company_id>/<string(maxlength=40):month>"

RULES_SHOWN = 24


def _column(name: str) -> Any:
    return db.literal_column(name, db.Integer).label(name)


SUMMARY_ORDERS = {
    "company_id": Order((_column("company_id"),)),
    "worst": Order((_column("worst"), _column("share"), _column("company_id"))),
}
HOLDING_ORDERS = {"holding_id": Order((_column("holding_id"),))}

FIELDS = {"partial": "partial_outage", "performance": "performance_issue", "notice": "notice_hours"}
"""What the parts of a rule are called here."""

PERCENT = {"description": "In percent, to the thousandth."}


class TermsShape(Shape):
    """By which rule something is counted."""

    words = fields.String(required=True, metadata={"description": "The rule as it stands beside the figures."})
    partial_outage = fields.Integer(
        required=True, metadata={"description": "For how many percent a partial outage counts."}
    )
    performance_issue = fields.Integer(
        required=True, metadata={"description": "For how many percent a performance issue counts."}
    )
    counts_maintenance = fields.Boolean(
        required=True,
        metadata={"description": "Maintenance counts as down; else what was announced in time is left out."},
    )
    notice_hours = fields.Integer(
        required=True, metadata={"description": "So long ahead it is announced to be in time."}
    )
    target = Percent(required=True, allow_none=True, metadata={"description": "What was promised, in percent."})


class AvailabilityRuleShape(TermsShape):
    maintenance = fields.Integer(
        required=True,
        metadata={"description": "For how many percent maintenance counts in the bars of components."},
    )
    from_month = fields.String(
        required=True, allow_none=True, metadata={"description": "Null: nobody has changed what is usual."}
    )


class AvailabilityRulesShape(AvailabilityRuleShape):
    known = fields.List(
        fields.Nested(AvailabilityRuleShape),
        required=True,
        metadata={"description": f"The last {RULES_SHOWN} that were set, the latest month first."},
    )
    version = fields.Integer(required=True, metadata={"description": "Of all of them."})


class AvailabilityRuleToSet(Shape):
    from_month = Text(
        least=7, most=7, metadata={"description": "From a year back to three ahead; this month.", "example": "2026-11"}
    )
    partial_outage = Number(required=True, least=0, most=100)
    performance_issue = Number(required=True, least=0, most=100, metadata={"example": 0})
    maintenance = Number(required=True, least=0, most=100, metadata={"example": 0})
    notice_hours = Number(required=True, least=0, most=NOTICE_AT_MOST, metadata={"example": 48})
    counts_maintenance = Switch(required=True)
    target = Percent(required=True, allow_none=True, metadata={"description": "Null: nothing.", "example": 99.9})


class SummaryShape(Shape):
    company_id = fields.Integer(required=True)
    name = fields.String(required=True)
    worst = Percent(required=True, metadata={"description": "Of the holding that was up least, in percent."})
    availability = Percent(required=True, metadata={"description": "Of all its holdings, in percent."})
    down_minutes = fields.Float(required=True)
    holdings = fields.Integer(required=True)
    missed = fields.Integer(required=True, metadata={"description": "Holdings that had less than was promised."})
    target = Percent(required=True, allow_none=True, metadata={"description": "What was promised, in percent."})


class AccountShape(Shape):
    """A span of time by what it was, in minutes."""

    total = fields.Float(required=True)
    left_out = fields.Float(required=True, metadata={"description": "Agreed maintenance, which is not measured."})
    measured = fields.Float(required=True)
    down = fields.Float(required=True)
    partial_outage = fields.Float(required=True)
    performance_issue = fields.Float(required=True)
    maintenance = fields.Float(required=True, metadata={"description": "Maintenance that is not left out."})
    counted_as_down = fields.Float(required=True)


class CompanyMonthShape(Shape):
    company_id = fields.Integer(required=True)
    name = fields.String(required=True)
    month = fields.String(required=True, metadata={"example": "2026-10"})
    zone = fields.String(required=True, metadata={"description": "In which the month begins and ends."})
    begin = Moment(required=True)
    end = Moment(required=True, metadata={"description": "Now, while the month is running."})
    rule = fields.Nested(TermsShape, required=True)
    availability = Percent(required=True, metadata=PERCENT)
    worst = Percent(required=True, metadata={"description": "Of the holding that was up least, in percent."})
    minutes = fields.Nested(AccountShape, required=True)
    holdings = fields.Integer(required=True)
    missed = fields.Integer(required=True, metadata={"description": "Holdings that had less than was promised."})


class CauseShape(Shape):
    kind = Word(Source, required=True)
    id = fields.Integer(metadata={"description": "Not for a company’s token."})
    public_id = fields.String(required=True, allow_none=True)
    title = fields.String(required=True)
    begin = Moment(required=True)
    end = Moment(required=True, allow_none=True)


class HoldingMonthShape(Shape):
    holding_id = fields.Integer(required=True)
    service_id = fields.Integer(required=True)
    service_name = fields.String(required=True)
    category = fields.String(required=True)
    reference = fields.String(required=True)
    begin = Moment(required=True, metadata={"description": "From when it was held in the month."})
    end = Moment(required=True)
    availability = Percent(required=True, metadata=PERCENT)
    minutes = fields.Nested(AccountShape, required=True)
    target = Percent(required=True, allow_none=True)
    is_met = fields.Boolean(required=True, allow_none=True, metadata={"description": "Null where nothing is promised."})
    causes = fields.List(fields.Nested(CauseShape), required=True, metadata={"description": "What lay on it."})


class AvailabilityQuery(ListQuery):
    month = Text(metadata={"description": "Such as 2026-10; the last one that is over, if left out."}, least=7, most=7)
    q = Text(most=200, metadata={"description": "Companies whose name holds this."})
    missed = SwitchInAddress(metadata={"description": "Only those who had less than was promised, or only the others."})
    sort = sorted_by(SUMMARY_ORDERS)


class HoldingMonthQuery(ListQuery):
    sort = sorted_by(HOLDING_ORDERS)


@blueprint.lists("", AvailabilityQuery, SummaryShape, summary="List how companies did in a month")
def list_availability(query: dict[str, Any]) -> Piece[Any]:
    """Every company that held anything in it. Not for a company’s token."""
    if not access.viewpoint().is_staff:
        raise NotFound
    now = clock.utcnow()
    this = this_month(now)
    month = Month.read(query["month"]) if "month" in query else this.moved(-1)
    if month is None or month > this:
        raise RuleViolation("Write a month that has begun, like 2026-10.", "month")
    text, missed = key_of(query.get("q", "")), query.get("missed")
    found = [each for each in summaries(month, now) if text in key_of(each.name) and missed in {None, each.missed > 0}]
    piece = piece_among(found, wanted(query, SUMMARY_ORDERS))
    return Piece([_in_short(each) for each in piece.items], piece.next)


@blueprint.reads("/rule", AvailabilityRulesShape, summary="Read by which rule availability is counted")
def read_availability_rule() -> Answer:
    """As it holds this month for whoever has agreed nothing else. Not for a company’s token."""
    if not access.viewpoint().is_staff:
        raise NotFound
    return Answer(_rule())


@blueprint.sets(
    "/rule",
    AvailabilityRuleToSet,
    AvailabilityRulesShape,
    summary="Set by which rule availability is counted",
    of_version=True,
)
def set_availability_rule(body: dict[str, Any]) -> Answer:
    """Pages follow at once; months before keep the rule they had."""
    now = clock.utcnow()
    this = this_month(now)
    version = expected_version(rule_in(this).version)
    terms = Terms(
        Weights(body["partial_outage"], body["performance_issue"], body["maintenance"]),
        timedelta(hours=body["notice_hours"]),
        body["counts_maintenance"],
        thousandths(body["target"]),
    )
    try:
        change_rule(terms, month_from(body, this), version=version, by=access.actor(), now=now)
    except RuleViolation as violation:
        raise RuleViolation(violation.sentence, FIELDS.get(violation.field or "", violation.field)) from None
    return Answer(_rule())


@blueprint.reads(MONTH, CompanyMonthShape, summary="Read how a company did in a month")
def read_company_month(company_id: int, month: str) -> Answer:
    """With the rule it is counted by; holding by holding it is at `/holdings` below."""
    found = _month(company_id, month)
    return Answer(
        {
            "company_id": found.company_id,
            "name": found.name,
            "month": str(found.month),
            "zone": found.zone,
            "begin": found.begin,
            "end": found.end,
            "rule": shown_terms(found.terms),
            "availability": percent(found.total.thousandths),
            "worst": percent(found.worst.thousandths),
            "minutes": _minutes(found.total),
            "holdings": len(found.lines),
            "missed": found.missed,
        }
    )


@blueprint.lists(
    f"{MONTH}/holdings", HoldingMonthQuery, HoldingMonthShape, summary="List how each holding of a company did"
)
def list_holding_months(company_id: int, month: str, query: dict[str, Any]) -> Piece[Any]:
    """The ledger: the lines of the CSV, with what lay on each."""
    found = _month(company_id, month)
    piece = piece_among(found.lines, wanted(query, HOLDING_ORDERS))
    names = names_of({cause for line in piece.items for cause in line.causes}, access.viewpoint(), clock.utcnow())
    return Piece([_line(each, names) for each in piece.items], piece.next)


def month_from(body: dict[str, Any], this: Month) -> Month:
    """The month from which something is to hold, this one if none is named; RuleViolation for one that cannot be."""
    if "from_month" not in body:
        return this
    found = Month.read(body["from_month"])
    if found not in this.agreed_from():
        raise RuleViolation("A month from a year back to three months ahead, like 2026-11.", "from_month")
    return found


def thousandths(typed: float | None) -> int | None:
    """What was promised, as it is stored."""
    return None if typed is None else round(typed * 1000)


def percent(stored: int | None) -> float | None:
    """Thousandths of a percent, in percent."""
    return None if stored is None else stored / 1000


def shown_terms(terms: Terms) -> dict[str, Any]:
    """A rule, with the words that stand beside the figures."""
    words = get_template_attribute("availability/rule.html", "contract_rule")(terms)
    return {
        "words": " ".join(unescape(str(words)).split()),
        "partial_outage": terms.weights.partial,
        "performance_issue": terms.weights.performance,
        "counts_maintenance": terms.counts_maintenance,
        "notice_hours": terms.notice_hours,
        "target": percent(terms.target),
    }


def _rule() -> dict[str, Any]:
    this = this_month(clock.utcnow())
    rule = rule_in(this)
    known = [_shown_rule(each) for each in rules_set()[:RULES_SHOWN]]
    return _shown_rule(rule) | {"known": known, "version": rule.version}


def _shown_rule(rule: Rule) -> dict[str, Any]:
    own = {"maintenance": rule.terms.weights.maintenance, "from_month": rule.from_month}
    return shown_terms(rule.terms) | own


def _month(company_id: int, text: str) -> CompanyMonth:
    """The month of a company, if it exists for this token: for a company only its own, and as its own page has it."""
    now, viewpoint, seen = clock.utcnow(), access.viewpoint(), view()
    if not viewpoint.is_staff and (
        company_id != viewpoint.company_id or Area.STATUS not in access.company_areas() or not seen.shows_history
    ):
        raise NotFound
    month = Month.read(text)
    if month is None or month > Month.of(now, zone_of(company_id)):
        raise NotFound
    found = company_month(company_id, month, now, hidden=seen.hidden_services)
    if found is None:
        raise NotFound
    return found


def _in_short(each: Summary) -> dict[str, Any]:
    return {
        "company_id": each.company_id,
        "name": each.name,
        "worst": percent(each.worst),
        "availability": percent(each.share),
        "down_minutes": _in_minutes(each.down),
        "holdings": each.holdings,
        "missed": each.missed,
        "target": percent(each.target),
    }


def _line(line: Line, names: Mapping[Cause, Named]) -> dict[str, Any]:
    same = ("holding_id", "service_id", "category", "reference", "is_met")
    return {
        **{name: getattr(line, name) for name in same},
        "service_name": line.name,
        "begin": line.since,
        "end": line.until,
        "availability": percent(line.account.thousandths),
        "minutes": _minutes(line.account),
        "target": percent(line.target),
        "causes": [_cause(names[each]) for each in line.causes if each in names],
    }


def _cause(named: Named) -> dict[str, Any]:
    found = {
        "kind": named.cause.source,
        "public_id": named.public_id,
        "title": title_of(named),
        "begin": named.from_at,
        "end": named.to_at,
    }
    return found | ({"id": named.cause.id} if access.viewpoint().is_staff else {})


def _minutes(account: Any) -> dict[str, float]:
    return {
        "total": _in_minutes(account.span),
        "left_out": _in_minutes(account.of(Counts.LEFT_OUT)),
        "measured": _in_minutes(account.measured),
        "down": _in_minutes(account.of(Counts.DOWN)),
        "partial_outage": _in_minutes(account.of(Counts.PARTIAL)),
        "performance_issue": _in_minutes(account.of(Counts.PERFORMANCE_ISSUE)),
        "maintenance": _in_minutes(account.of(Counts.WORK)),
        "counted_as_down": _in_minutes(account.down),
    }


def _in_minutes(span: timedelta) -> float:
    """With two places, as in the CSV."""
    return round(span / timedelta(minutes=1), 2)
