"""Forms of the availability rule and of what is agreed with a company."""

from datetime import timedelta
from decimal import Decimal
from typing import Self

from wtforms import BooleanField, DecimalField, IntegerField, SelectField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, NumberRange, Optional

from portal.admin.forms import VersionedForm
from portal.incidents.queries.availability import Contract, Rule
from portal.incidents.rules.availability import NOTICE_AT_MOST, Month, Terms, Weights

STALE = "Somebody else changed this in the meantime. Yours stands below; save again to put it over theirs."

AS_USUAL, COUNTED, LEFT_OUT = "usual", "counted", "left_out"


def _target(label: str) -> DecimalField:
    return DecimalField(label, places=None, validators=[Optional(), NumberRange(0, 100, "Between 0 and 100 percent.")])


class _TermsForm(VersionedForm):
    """What both forms ask: from when, and what is promised."""

    from_month = SelectField("From the month of")
    target = _target("Promised availability, in percent")

    def offer(self, this: Month) -> Self:
        """Give the months that can be chosen."""
        self.from_month.choices = [SelectChoice(str(each), f"{each.first_day:%B %Y}") for each in this.agreed_from()]
        return self

    @property
    def thousandths(self) -> int | None:
        """What is promised, in thousandths of a percent."""
        typed: Decimal | None = self.target.data
        return None if typed is None else round(typed * 1000)


class RuleForm(_TermsForm):
    """The rule of the installation."""

    partial = IntegerField("A partial outage counts, in percent", [InputRequired("Type a whole number.")])
    performance = IntegerField("A performance issue counts, in percent", [InputRequired("Type a whole number.")])
    maintenance = IntegerField("Maintenance of components counts, in percent", [InputRequired("Type a whole number.")])
    notice = IntegerField(
        "Announced at least so many hours ahead",
        [InputRequired("Type a whole number."), NumberRange(0, NOTICE_AT_MOST, f"At most {NOTICE_AT_MOST:,} hours.")],
    )
    counts_maintenance = BooleanField("Maintenance counts as down in what is agreed with companies")

    @classmethod
    def of(cls, rule: Rule, this: Month) -> Self:
        """The form as it stands before anybody types."""
        terms = rule.terms
        return cls(
            data={
                "version": rule.version,
                "from_month": str(this),
                "partial": terms.weights.partial,
                "performance": terms.weights.performance,
                "maintenance": terms.weights.maintenance,
                "notice": terms.notice_hours,
                "counts_maintenance": terms.counts_maintenance,
                "target": percent_of(terms.target),
            }
        ).offer(this)

    @property
    def terms(self) -> Terms:
        """What is typed."""
        return Terms(
            Weights(self.partial.data or 0, self.performance.data or 0, self.maintenance.data or 0),
            timedelta(hours=self.notice.data or 0),
            bool(self.counts_maintenance.data),
            self.thousandths,
        )


class ContractForm(_TermsForm):
    """What is agreed with one company."""

    maintenance = SelectField(
        "Maintenance",
        choices=[
            SelectChoice(AS_USUAL, "As for everybody"),
            SelectChoice(LEFT_OUT, "Left out when it was announced in time"),
            SelectChoice(COUNTED, "Counts as down"),
        ],
    )

    @classmethod
    def of(cls, contract: Contract, this: Month) -> Self:
        """The form as it stands before anybody types."""
        own = contract.counts_maintenance
        return cls(
            data={
                "version": contract.version,
                "from_month": str(this),
                "maintenance": AS_USUAL if own is None else COUNTED if own else LEFT_OUT,
                "target": percent_of(contract.target),
            }
        ).offer(this)

    @property
    def counts_maintenance(self) -> bool | None:
        """What is chosen of maintenance; None is as for everybody."""
        return {COUNTED: True, LEFT_OUT: False}.get(self.maintenance.data)


def percent_of(thousandths: int | None) -> Decimal | None:
    """What was promised, as it is typed."""
    return None if thousandths is None else (Decimal(thousandths) / 1000).normalize()
