"""`/admin/alerts/templates`: own words for what alerts say, with what they become as they are typed."""

from typing import Any

from flask import Blueprint, Response, abort, flash
from wtforms import StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.forms import RowForm, StaffForm, VersionField
from portal.alerts import queries
from portal.alerts.actions import wording
from portal.alerts.letters import VARIABLES, Own, built_in, checked_own
from portal.alerts.models import AlertTemplate
from portal.alerts.rules import SMS_LENGTH, TEMPLATE_NAME_LENGTH
from portal.alerts.specimen import preview, specimen_of
from portal.database import read_only
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.notifications.templates.placeholders import WordingError
from portal.notifications.templates.rules import FieldError

blueprint = Blueprint("admin_alert_templates", __name__, url_prefix="/admin/alerts/templates")
access.staff(blueprint, Permission.ALERTS_EDIT)

LIST = "/admin/alerts/templates"
LONGEST_TYPED = 100_000
STALE = "Somebody else changed these words in the meantime. Yours stand below; save again to put them over theirs."


class WordsForm(StaffForm):
    """Words for alerts. An empty HTML is made of the plain text, an empty text message is ours."""

    name = StringField("Name", [Length(max=TEMPLATE_NAME_LENGTH, message="A name has at most 100 characters.")])
    subject = StringField("Subject", [Length(max=LONGEST_TYPED)])
    text = TextAreaField("Plain text", [Length(max=LONGEST_TYPED)])
    html = TextAreaField("HTML", [Length(max=LONGEST_TYPED)])
    sms = TextAreaField("Text message", [Length(max=LONGEST_TYPED)])

    def own(self) -> Own:
        """What is typed."""
        return Own(self.subject.data or "", self.text.data or "", self.html.data or "", self.sms.data or "")


class EditWordsForm(WordsForm):
    """And the version they were opened with."""

    version = VersionField(validators=[InputRequired()])


@blueprint.get("")
def template_list() -> Response:
    """Every template with how many alerts speak in its words."""
    templates = queries.live_templates()
    return render(
        "admin/alerts/templates.html",
        "admin/alerts/_templates.html",
        templates=templates,
        used=queries.used_by([each.id for each in templates]),
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new_template() -> Response:
    """Write one, beginning with our own words."""
    ours = built_in("en")
    form = WordsForm(data={"subject": ours.subject, "text": ours.text})
    if not form.validate_on_submit():
        return _page(form, None, 422 if form.is_submitted() else 200)
    try:
        made = wording.add_template(form.name.data or "", form.own(), by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(form, None, 422)
    address = f"{LIST}/{made.id}"
    events.commit()
    flash("Kept. Alerts may be told in these words from now on.")
    return redirect_to(address)


@blueprint.route("/<int:template_id>", methods=["GET", "POST"])
def edit_template(template_id: int) -> Response:
    """Its words: to read, and to write anew."""
    template = _template(template_id)
    form = EditWordsForm(obj=template)
    if not form.validate_on_submit():
        return _page(form, template, 422 if form.is_submitted() else 200)
    try:
        wording.change_template(
            template,
            form.name.data or "",
            form.own(),
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(form, _template(template_id), 422)
    except StaleEdit:
        events.rollback()
        newer = _template(template_id)
        form.form_errors.append(STALE)
        form.version.data = newer.version
        return _page(form, newer, 409)
    events.commit()
    flash("Saved. The next notice says it like this.")
    return redirect_to(f"{LIST}/{template_id}")


@blueprint.post("/preview")
def preview_template() -> Response:
    """What the words become as they are typed. Nothing is written."""
    form = WordsForm()
    events.rollback()
    read_only.set(True)
    page = "admin/alerts/template_preview.html"
    return render(page, page, **_seen(form.own(), None))


@blueprint.post("/<int:template_id>/archive")
def archive_template(template_id: int) -> Response:
    template, form = _template(template_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    try:
        wording.archive_template(template, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        events.rollback()
        words = EditWordsForm(formdata=None, obj=_template(template_id))
        words.form_errors.append(violation.sentence)
        return _page(words, _template(template_id), 422)
    events.commit()
    flash("Archived. Alerts that spoke in these words say ours.")
    return redirect_to(LIST)


def _page(form: WordsForm, template: AlertTemplate | None, status: int) -> Response:
    return render(
        "admin/alerts/template_form.html",
        "admin/alerts/_template_form.html",
        status,
        form=form,
        template=template,
        variables=VARIABLES,
        sms_length=SMS_LENGTH,
        used=queries.used_by([template.id]).get(template.id, 0) if template is not None else 0,
        at=f"{LIST}/{template.id}" if template is not None else f"{LIST}/new",
        **_seen(form.own(), template.id if template is not None else None),
    )


def _seen(own: Own, template_id: int | None) -> dict[str, Any]:
    """What these words become, or the sentence that says why they do not do."""
    try:
        return {"preview": preview(checked_own(own), specimen_of(template_id, clock.utcnow())), "trouble": ""}
    except (FieldError, WordingError) as refusal:
        return {"preview": None, "trouble": str(refusal)}


def _template(template_id: int) -> AlertTemplate:
    return queries.template_by_id(template_id) or abort(404)
