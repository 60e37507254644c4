"""`/admin/calls`: the calls of each company with the trunk and the carrier they went by, and files of more of them."""

import csv
from collections.abc import Sequence

from flask import Blueprint, abort, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.models import Company
from portal.accounts.queries.listings import company_by_id
from portal.accounts.rules import Permission, may
from portal.admin.calls.forms import CallFileForm
from portal.admin.forms import page_wanted, text_wanted
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.language import reader_zone
from portal.usage.calls.actions import WRONG_AT_MOST, BadCallsError, take_call_file
from portal.usage.calls.asked import asked
from portal.usage.calls.queries import PAGES_AT_MOST, Found, search
from portal.usage.calls.rules import Outcome
from portal.usage.figures import companies_with_calls
from portal.usage.rules import Line

blueprint = Blueprint("admin_calls", __name__, url_prefix="/admin/calls")
access.staff(blueprint, Permission.COMPANIES_READ)

LIST = "/admin/calls"


@blueprint.get("")
def companies() -> Response:
    """The companies whose calls come in, with the last that did."""
    text = text_wanted()
    found = companies_with_calls(page_wanted(), text) or abort(404)
    return render("admin/calls/companies.html", "admin/calls/_companies.html", found=found, text=text)


@blueprint.get("/<int:company_id>")
def calls(company_id: int) -> Response:
    """The newest first, 50 a page, found as the company finds them."""
    return _page(_company(company_id), CallFileForm(formdata=None), [], 200)


@blueprint.post("/<int:company_id>/records")
def upload_calls(company_id: int) -> Response:
    """Take a file of call records; what is wrong in it is named line by line, and the rest is taken."""
    access.require(Permission.CATALOGUE_EDIT)
    company, form = _company(company_id), CallFileForm()
    if not form.validate_on_submit():
        return _page(company, form, [], 422)
    try:
        rows = _rows(form.file.data.read()) if form.file.data else []
        taken, wrong = take_call_file(company, rows, by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(_company(company_id), form, [], 422)
    except BadCallsError as refused:
        events.rollback()
        form.refuse(RuleViolation(next(iter(refused.wrong.values())).sentence, "file"))
        return _page(_company(company_id), form, [], 422)
    events.commit()
    said = f"{taken.taken:,} records taken, {taken.known:,} told nothing new."
    if wrong:
        form.form_errors.append(f"{said} {len(wrong):,} lines were not taken.")
        return _page(_company(company_id), form, wrong, 422)
    flash(said)
    return redirect_to(f"{LIST}/{company_id}")


def _page(company: Company, form: CallFileForm, wrong: Sequence[Line], status: int) -> Response:
    wanted, page = asked(request.args, reader_zone()), page_wanted()
    if not 1 <= page <= PAGES_AT_MOST:
        abort(404)
    found = Found([], 1, has_more=False) if wanted.wrong else search(company.id, wanted.wanted, page)
    return render(
        "admin/calls/calls.html",
        "admin/calls/_calls.html",
        422 if wanted.wrong else status,
        company=company,
        asked=wanted,
        found=found,
        outcomes=list(Outcome),
        form=form,
        wrong=wrong[:WRONG_AT_MOST],
        wrong_count=len(wrong),
        may_take=may(access.signed_in().role, Permission.CATALOGUE_EDIT) and company.archived_at is None,
        at=f"{LIST}/{company.id}",
    )


def _rows(content: bytes) -> list[list[str]]:
    """The lines of a file, parted by commas, semicolons or tabs, whichever its first one has."""
    try:
        text = content.decode("utf-8-sig")
        first = text.partition("\n")[0]
        mark = next((each for each in (";", "\t") if each in first), ",")
        return list(csv.reader(text.splitlines(), delimiter=mark, strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise RuleViolation("This file is no table of text in UTF-8.", "file") from None


def _company(company_id: int) -> Company:
    return company_by_id(company_id) or abort(404)
