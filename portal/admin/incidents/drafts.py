"""`/admin/incidents/drafts`: reports that wait, to be published by hand or by the clock."""

from datetime import datetime

from flask import Blueprint, abort, flash, request, url_for
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.delays import done
from portal.admin.forms import RowForm, page_wanted
from portal.admin.incidents.forms import DraftForm
from portal.admin.incidents.routes import (
    DRAFTS_SHOWN,
    Wish,
    asks_to_fill,
    is_whole,
    publish_page,
    said_of_published,
    wished_time,
    zone_of_reader,
)
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents.actions.drafts import discard_draft, edit_draft, publish_draft
from portal.incidents.models import IncidentDraft
from portal.incidents.queries.drafts import draft_by_id, drafts_page, first_drafts
from portal.incidents.queries.wordings import audience_names
from portal.incidents.rules.drafts import DraftContent
from portal.language import zone

blueprint = Blueprint("admin_incident_drafts", __name__, url_prefix="/admin/incidents/drafts")
access.staff(blueprint, Permission.INCIDENTS_PUBLISH)


@blueprint.get("")
def index() -> Response:
    """All drafts, those saved last first. With `first` in the address only those above the report history."""
    if "first" in request.args:
        drafts, count = first_drafts(DRAFTS_SHOWN)
        return render("admin/incidents/_drafts.html", "admin/incidents/_drafts.html", drafts=drafts, draft_count=count)
    page = drafts_page(page_wanted())
    if page is None:
        abort(404)
    return render("admin/incidents/drafts.html", "admin/incidents/_draft_list.html", listed=page)


@blueprint.get("/<int:draft_id>")
def draft(draft_id: int) -> Response:
    """The draft in the form of a report. One that is over leads to what became of it."""
    found = _draft(draft_id)
    now = clock.utcnow()
    return _page(_fresh(found, now), found, now) if found.is_open else _over(found)


@blueprint.post("/<int:draft_id>")
def save(draft_id: int) -> Response:
    """Write on, publish it, or have the clock publish it."""
    found = _draft(draft_id)
    now = clock.utcnow()
    form = DraftForm()
    wish = Wish.of(request.form.get("do"))
    if not found.is_open:
        return _over(found)
    if asks_to_fill(form):
        return _page(form, found, now)
    if not is_whole(form, wish):
        return _page(form, found, now, 422)
    try:
        answer = _saved(found, form, wish, now)
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        answer = _page(form, _draft(draft_id), now, 422)
    except (StaleEdit, StaleDataError):
        answer = _stale(draft_id, form, now)
    return answer


def _saved(found: IncidentDraft, form: DraftForm, wish: Wish, now: datetime) -> Response:
    edit_draft(
        found,
        form.content(now),
        publish_at=wished_time(form, wish),
        zone=form.zone_name(),
        version=form.version.data or 0,
        by=access.actor(),
        author_id=access.signed_in().person_id,
        now=now,
    )
    if wish is Wish.PUBLISH:
        return _published(found, now)
    events.commit()
    flash("Saved." if wish is Wish.DRAFT else "Saved. It is published at its time.")
    return redirect_to(url_for("admin_incidents.index", _anchor="drafts"))


def _stale(draft_id: int, form: DraftForm | None, now: datetime) -> Response:
    """Somebody else was faster: both are shown, and sending it again is a decision."""
    events.rollback()
    found = _draft(draft_id)
    if not found.is_open:
        return _over(found)
    form = form or _fresh(found, now)
    form.version.data = found.version
    return _page(form, found, now, 409)


@blueprint.post("/<int:draft_id>/publish")
def publish(draft_id: int) -> Response:
    """Publish it as it stands. What keeps it from that is said where it is written."""
    found = _draft(draft_id)
    now = clock.utcnow()
    sent = RowForm()
    if not found.is_open:
        return _over(found)
    try:
        if not sent.validate() or sent.version.data != found.version:
            raise StaleEdit
        return _published(found, now)
    except RuleViolation as violation:
        events.rollback()
        found = _draft(draft_id)
        form = _fresh(found, now)
        form.refuse(violation)
        return _page(form, found, now, 422)
    except (StaleEdit, StaleDataError):
        return _stale(draft_id, None, now)


@blueprint.post("/<int:draft_id>/discard")
def discard(draft_id: int) -> Response:
    """Put it away for good."""
    found = _draft(draft_id)
    now = clock.utcnow()
    sent = RowForm()
    if found.published_at is not None:
        return _over(found)
    try:
        discard_draft(found, version=sent.version.data or 0, by=access.actor(), now=now)
        events.commit()
    except (StaleEdit, StaleDataError):
        return _stale(draft_id, None, now)
    flash("Discarded.")
    return redirect_to(url_for("admin_incidents.index"))


def _published(found: IncidentDraft, now: datetime) -> Response:
    incident = publish_draft(found, by=access.actor(), author_id=access.signed_in().person_id, now=now)
    incident_id, visibility = incident.id, incident.visibility
    events.commit()
    flash(done(said_of_published(incident_visibility=visibility)))
    return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))


def _over(found: IncidentDraft) -> Response:
    """Where a draft leads that is none any more."""
    if found.incident_id is not None:
        return redirect_to(url_for("admin_incidents.incident", incident_id=found.incident_id))
    flash("This draft was discarded." if found.discarded_at else "This draft was published.")
    return redirect_to(url_for("admin_incidents.index"))


def _page(form: DraftForm, found: IncidentDraft, now: datetime, status: int = 200) -> Response:
    written = ""
    if found.publish_at is not None:
        local = found.publish_at.astimezone(zone(found.zone))
        written = f"{local.day} {local:%B %Y %H:%M} {local.tzname()}"
    return publish_page(form, now, status, found, is_stale=status == 409, publish_at_written=written)


def _fresh(found: IncidentDraft, now: datetime) -> DraftForm:
    form = DraftForm(formdata=None)
    _show(form, found, now)
    return form


def _show(form: DraftForm, found: IncidentDraft, now: datetime) -> None:
    content = DraftContent.from_json(found.content)
    form.show(content, audience_names(content.wordings), now)
    form.version.data = found.version
    form.zone.data = found.zone if found.publish_at is not None or found.trouble else zone_of_reader()
    if found.publish_at is not None:
        form.publish_at.data = found.publish_at.astimezone(zone(found.zone)).replace(tzinfo=None)


def _draft(draft_id: int) -> IncidentDraft:
    found = draft_by_id(draft_id)
    if found is None:
        raise NotFound
    return found
