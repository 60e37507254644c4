"""`/admin/quotes/<number>/answers`: how a quote was answered, with what was signed, and taking an answer back."""

from flask import Blueprint, Response, abort, flash
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import Length

from portal import access, clock, events
from portal.accounts.rules import Permission, may
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.jobs.actions import quotes
from portal.jobs.models import WorkItem
from portal.jobs.queries.offers import answers_of, quote_numbered
from portal.jobs.rules import WorkKind, written_number

blueprint = Blueprint("admin_quote_answers", __name__, url_prefix="/admin/quotes")
access.staff(blueprint, Permission.STAFF_ENTER)


class TakeBackForm(FlaskForm):
    """Why an answer is taken back. Staff alone read it."""

    reason = StringField("Why", validators=[Length(max=2000)])


@blueprint.get("/<number>/answers")
def answers(number: str) -> Response:
    """Every answer, the newest first, those that were taken back too."""
    return _show(_found(number), TakeBackForm(formdata=None))


@blueprint.post("/<number>/answers/<int:answer_id>/take-back")
def take_back(number: str, answer_id: int) -> Response:
    """Take an answer back: it stays on record, and the quote is sent once more."""
    item, form = _found(number), TakeBackForm()
    if answer_id not in {answer.id for answer in answers_of(item.id) if answer.stands}:
        abort(404)
    access.require(Permission.WORK_EDIT)
    if not form.validate():
        return _show(item, form, 422)
    try:
        quotes.take_back(answer_id, form.reason.data or "", by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        events.rollback()
        form.reason.errors = [violation.sentence]
        return _show(_found(number), form, 422)
    events.commit()
    flash("Taken back.")
    return redirect_to(f"/admin/quotes/{number}/answers")


def _found(number: str) -> WorkItem:
    return quote_numbered(number) or abort(404)


def _show(item: WorkItem, form: TakeBackForm, status: int = 200) -> Response:
    return render(
        "admin/quote_answers/answers.html",
        "admin/quote_answers/_answers.html",
        status,
        number=written_number(WorkKind.QUOTE, item.number),
        title=item.title,
        answers=answers_of(item.id),
        form=form,
        may_edit=may(access.signed_in().role, Permission.WORK_EDIT),
    )
