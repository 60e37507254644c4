"""What comes beside the updates of a report: its postmortem, and whoever looks after it."""

from flask import Response, flash, url_for
from sqlalchemy.orm.exc import StaleDataError
from wtforms import BooleanField, SelectField, TextAreaField
from wtforms.validators import InputRequired

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.delays import done
from portal.admin.forms import RowForm, VersionedForm, choices_of
from portal.admin.incidents.beside import blueprint, incident_or_404, may_publish
from portal.admin.incidents.forms import TranslationsField
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents import actions
from portal.incidents.models import Incident, Postmortem
from portal.incidents.queries.nagging import possible_owners
from portal.incidents.queries.postmortems import postmortem_for_staff, postmortem_mail
from portal.incidents.rules.languages import translations_of

NOBODY = 0
"""What stands for nobody by name in the choice of an owner."""


class PostmortemForm(VersionedForm):
    """The text of a postmortem."""

    body = TextAreaField("The postmortem", [InputRequired("Write what customers should know.")])
    translations = TranslationsField("In other languages")


class PublishForm(RowForm):
    """Showing it to customers."""

    notify = BooleanField("Mail everybody who was told of the incident", default=True)


class OwnerForm(VersionedForm):
    """Who looks after a report."""

    owner = SelectField("Owner", coerce=int)


@blueprint.get("/<int:incident_id>/postmortem")
def postmortem(incident_id: int) -> Response:
    """What is written of it so far, and how it is told."""
    return _page(incident_or_404(incident_id), _fresh(postmortem_for_staff(incident_id)))


@blueprint.post("/<int:incident_id>/postmortem")
def write_postmortem(incident_id: int) -> Response:
    """Keep the draft, or correct what customers read."""
    access.require(Permission.INCIDENTS_PUBLISH)
    found, form = incident_or_404(incident_id), PostmortemForm()
    if not form.validate():
        return _page(found, form, 422)
    try:
        written = actions.write_postmortem(
            found,
            form.body.data or "",
            bodies=form.translations.texts("body"),
            version=form.version.data or 0,
            by=access.actor(),
            author_id=access.signed_in().person_id,
            now=clock.utcnow(),
        )
        is_published = written.published_at is not None
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(incident_or_404(incident_id), form, 422)
    except (StaleEdit, StaleDataError):
        return _stale(incident_id, form)
    flash("Corrected: customers read it like this now." if is_published else "Saved. Only staff see it so far.")
    return redirect_to(url_for("admin_incident_beside.postmortem", incident_id=incident_id))


@blueprint.post("/<int:incident_id>/postmortem/publish")
def publish_postmortem(incident_id: int) -> Response:
    """Show it to customers, and mail them."""
    access.require(Permission.INCIDENTS_PUBLISH)
    found, form = incident_or_404(incident_id), PublishForm()
    written = postmortem_for_staff(incident_id)
    if written is None or not form.validate():
        raise NotFound
    try:
        actions.publish_postmortem(
            found,
            written,
            notify=form.notify.data,
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        again = _fresh(postmortem_for_staff(incident_id))
        again.refuse(violation)
        return _page(incident_or_404(incident_id), again, 422)
    except (StaleEdit, StaleDataError):
        return _stale(incident_id, _fresh(postmortem_for_staff(incident_id)))
    flash(done("Published."))
    return redirect_to(url_for("admin_incident_beside.postmortem", incident_id=incident_id))


@blueprint.post("/<int:incident_id>/postmortem/discard")
def discard_postmortem(incident_id: int) -> Response:
    """Throw the draft away."""
    access.require(Permission.INCIDENTS_PUBLISH)
    incident_or_404(incident_id)
    form, written = RowForm(), postmortem_for_staff(incident_id)
    if not form.validate():
        raise NotFound
    if written is not None:
        try:
            actions.discard_postmortem(written, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
            events.commit()
        except RuleViolation as violation:
            events.rollback()
            again = _fresh(postmortem_for_staff(incident_id))
            again.refuse(violation)
            return _page(incident_or_404(incident_id), again, 422)
        except (StaleEdit, StaleDataError):
            return _stale(incident_id, _fresh(postmortem_for_staff(incident_id)))
        flash("Thrown away.")
    return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))


@blueprint.post("/<int:incident_id>/owner")
def hand_over(incident_id: int) -> Response:
    """Have somebody else look after a report."""
    access.require(Permission.INCIDENTS_PUBLISH)
    found, form = incident_or_404(incident_id), OwnerForm()
    form.owner.choices = choices_of([(NOBODY, "Nobody by name"), *((each.id, each.name) for each in possible_owners())])
    if not form.validate():
        flash("Choose somebody of the list.", "error")
        return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))
    try:
        actions.hand_over(
            found,
            form.owner.data or None,
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        flash(violation.sentence, "error")
        return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))
    flash("Handed over.")
    return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))


def _fresh(written: Postmortem | None) -> PostmortemForm:
    """The form as it opens: the text there is, and its version, 0 while there is none."""
    form = PostmortemForm(formdata=None)
    form.body.data = written.body if written else ""
    form.translations.data = translations_of(body=written.bodies if written else {})
    form.version.data = written.version if written else 0
    return form


def _stale(incident_id: int, form: PostmortemForm) -> Response:
    """Somebody else wrote first: theirs is shown, one's own is kept, and sending it again is a decision."""
    events.rollback()
    written = postmortem_for_staff(incident_id)
    form.version.data = written.version if written else 0
    return _page(incident_or_404(incident_id), form, 409)


def _page(found: Incident, form: PostmortemForm, status: int = 200) -> Response:
    written = postmortem_for_staff(found.id)
    told = postmortem_mail(found.id) if written is not None and written.published_at is not None else None
    return render(
        "admin/incidents/postmortem.html",
        "admin/incidents/_postmortem.html",
        status,
        incident=found,
        written=written,
        broadcast=told,
        form=form,
        publishing=PublishForm(formdata=None),
        is_stale=status == 409,
        may_publish=may_publish(),
    )
