"""`/api/v1/companies/{id}/availability-contract`: what is agreed with a company of its availability."""

from typing import Any

from marshmallow import fields

from portal import access, clock
from portal.accounts.models import Company
from portal.api.v1.accounts.companies import blueprint, company_of_staff
from portal.api.v1.fields import Percent, Switch, Text
from portal.api.v1.operations import Answer
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import Shape
from portal.api.v1.services.availability import TermsShape, month_from, percent, shown_terms, thousandths
from portal.incidents.actions.availability import change_contract
from portal.incidents.queries.availability import contract_of, contract_rows
from portal.incidents.rules.availability import Month
from portal.services.queries.ledger import zone_of

RULE = "/<int:company_id>/availability-contract"

KNOWN_SHOWN = 24


class AgreedShape(Shape):
    from_month = fields.String(required=True)
    counts_maintenance = fields.Boolean(required=True, allow_none=True)
    target = Percent(required=True, allow_none=True)


class ContractShape(Shape):
    company_id = fields.Integer(required=True)
    counts_maintenance = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "As agreed; null: as for everybody."}
    )
    target = Percent(
        required=True, allow_none=True, metadata={"description": "As agreed, in percent; null: as for everybody."}
    )
    from_month = fields.String(
        required=True, allow_none=True, metadata={"description": "Null where nothing of its own is agreed."}
    )
    rule = fields.Nested(TermsShape, required=True, metadata={"description": "What comes of it this month."})
    known = fields.List(
        fields.Nested(AgreedShape),
        required=True,
        metadata={"description": f"The last {KNOWN_SHOWN} that were agreed, the latest month first."},
    )
    version = fields.Integer(required=True, metadata={"description": "Of all of them."})


class ContractToSet(Shape):
    from_month = Text(
        least=7, most=7, metadata={"description": "From a year back to three ahead; this month.", "example": "2026-11"}
    )
    counts_maintenance = Switch(
        required=True,
        allow_none=True,
        metadata={"description": "Whether maintenance counts as down rather than being left out; null: as usual."},
    )
    target = Percent(
        required=True,
        allow_none=True,
        metadata={"description": "What is promised, in percent; null: as usual.", "example": 99.95},
    )


@blueprint.reads(RULE, ContractShape, summary="Read what is agreed with a company of its availability")
def read_availability_contract(company_id: int) -> Answer:
    """Its months say to the company itself by which rule they are counted."""
    return Answer(_shown(company_of_staff(company_id)))


@blueprint.sets(
    RULE,
    ContractToSet,
    ContractShape,
    summary="Agree with a company how its availability is counted",
    of_version=True,
)
def set_availability_contract(company_id: int, body: dict[str, Any]) -> Answer:
    """Months before keep what was agreed then."""
    company, now = company_of_staff(company_id), clock.utcnow()
    this = Month.of(now, zone_of(company.id))
    change_contract(
        company,
        month_from(body, this),
        counts_maintenance=body["counts_maintenance"],
        target=thousandths(body["target"]),
        version=expected_version(contract_of(company.id, this).version),
        by=access.actor(),
        now=now,
    )
    return Answer(_shown(company))


def _shown(company: Company) -> dict[str, Any]:
    found = contract_of(company.id, Month.of(clock.utcnow(), zone_of(company.id)))
    return {
        "company_id": company.id,
        "counts_maintenance": found.counts_maintenance,
        "target": percent(found.target),
        "from_month": found.from_month,
        "rule": shown_terms(found.terms),
        "known": [
            {
                "from_month": each.from_month,
                "counts_maintenance": each.counts_maintenance,
                "target": percent(each.target),
            }
            for each in contract_rows(company.id)[:KNOWN_SHOWN]
        ],
        "version": found.version,
    }
