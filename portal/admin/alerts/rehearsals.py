"""What an alert would have done, beside the form it is typed in: as far as it can be said while that is unfinished."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from portal.accounts.models import Company
from portal.accounts.queries.tags import companies_with_tag
from portal.admin.alerts.forms import AlertForm
from portal.admin.alerts.words import HAPPENED
from portal.alerts.rehearsing import rehearsed, sentences
from portal.alerts.rules.checks import SCRIPT_DECIMALS, Wanted, hint, refusals, tidied
from portal.alerts.rules.rehearsal import Moment
from portal.alerts.scripts import ScriptError
from portal.alerts.words import thing_of
from portal.errors import RuleViolation
from portal.extensions import db
from portal.usage.models import Metric

UNNEEDED = frozenset({"title", "recipients", "template", "key", "version", "csrf_token"})
"""Fields whose faults do not matter here."""

MAILS_SHOWN = 20


@dataclass(frozen=True)
class Rehearsal:
    """What the panel says: of which company, in sentences, and the last mails; or in `trouble` why nothing can be."""

    trouble: str = ""
    company: str = ""
    sentences: Sequence[str] = ()
    mails: Sequence[tuple[Moment, str, str]] = ()
    mails_in_all: int = 0
    hint: str = ""


def rehearsal_of(form: AlertForm, wanted: Callable[[], Wanted], now: datetime) -> Rehearsal:
    """Try what is typed on what was measured. At most as many queries as what it watches needs."""
    return _tried(lambda: _possible(form, wanted), now)


def rehearsal_as_kept(wish: Wanted, now: datetime) -> Rehearsal:
    """Try one as it is kept."""
    return _tried(lambda: wish, now)


def _tried(wished: Callable[[], Wanted], now: datetime) -> Rehearsal:
    try:
        wish = tidied(wished())
        company = _company(wish)
        found = rehearsed(wish, company.id, now)
    except (RuleViolation, ScriptError) as refusal:
        return Rehearsal(trouble=str(refusal))
    metric = db.session.get(Metric, wish.metric_id) if wish.metric_id is not None else None
    thing = thing_of(cast(Any, wish), metric)
    last = found.mails[-MAILS_SHOWN:][::-1]
    return Rehearsal(
        company=company.name,
        sentences=sentences(found),
        mails=[(each, HAPPENED[each.says or each.what], thing.written(each.value)) for each in last],
        mails_in_all=len(found.mails),
        hint=hint(wish) or "",
    )


def _possible(form: AlertForm, wanted: Callable[[], Wanted]) -> Wanted:
    """What is typed, where it can be tried; RuleViolation with what is still missing."""
    form.validate()
    for name, errors in form.errors.items():
        if name not in UNNEEDED and errors:
            raise RuleViolation(str(errors[0]))
    wish = wanted()
    if wish.company_id is None and not wish.tag:
        raise RuleViolation("Say for whom it is: then this shows what it would have done in the last 30 days.")
    for refusal in refusals(tidied(wish), SCRIPT_DECIMALS):
        if refusal.name not in UNNEEDED:
            raise RuleViolation(refusal.sentence % refusal.values)
    return wish


def _company(wish: Wanted) -> Company:
    """On whose figures it is tried: of those with a tag, the first."""
    company_id = wish.company_id or next(iter(companies_with_tag(wish.tag or "")), None)
    company = db.session.get(Company, company_id) if company_id is not None else None
    if company is None:
        raise RuleViolation("No company has this tag yet, so there is nothing to try it on.")
    return company
