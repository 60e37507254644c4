"""Staff screens of reports: history, publish, update, correct."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from flask import Blueprint, abort, flash, g, request, url_for
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.local import LocalProxy
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import STAFF, Permission, may
from portal.admin.delays import done
from portal.admin.forms import page_wanted, text_wanted
from portal.admin.incidents.forms import SEVERITIES, EditForm, ReportForm, TextForm, UpdateForm
from portal.admin.incidents.preview import VERBS, Preview, Shown, preview_of, shown_after
from portal.catalogue.queries import all_components
from portal.database import read_only
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents import actions, queries
from portal.incidents.models import Incident, IncidentUpdate
from portal.incidents.queries import Filters
from portal.incidents.rules import (
    SEVERITY_OF_IMPACT,
    Audience,
    Impact,
    Severity,
    State,
    Visibility,
    move,
    worst,
)
from portal.notifications.queries import progress_of_many

blueprint = Blueprint("admin_incidents", __name__, url_prefix="/admin/incidents")
access.staff(blueprint, Permission.STAFF_ENTER)

LINKS_AT_MOST = 5
"""How many open incidents the header of every staff page offers."""


@blueprint.get("")
def index() -> Response:
    """The report history: what is open first, then what was, a page at a time."""
    filters = _filters()
    reports = queries.report_history(filters, page_wanted())
    if reports is None:
        abort(404)
    now = clock.utcnow()
    return render(
        "admin/incidents/incidents.html",
        "admin/incidents/_incidents.html",
        reports=reports,
        filters=filters,
        is_filtered=filters != Filters(),
        components=all_components(),
        may_publish=_may_publish(),
        address=_address,
        now=now,
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> Response:
    """Publish a report. `title` and `component` in the address fill the form in, for quick ways here."""
    access.require(Permission.INCIDENTS_PUBLISH)
    now = clock.utcnow()
    form = ReportForm()
    if not form.is_submitted():
        _fill_in(form)
        return _publish_page(form, now)
    if not form.validate():
        return _publish_page(form, now, 422)
    try:
        incident = actions.publish(
            form.title.data or "",
            State(form.state.data),
            form.body.data or "",
            form.severities(),
            visibility=Visibility(form.visibility.data),
            audience=Audience(form.audience.data),
            notify=form.notify.data,
            mail_affected_only=form.affected_only.data,
            started_at=now - timedelta(minutes=form.began.data or 0),
            next_update=form.promise(),
            idempotency_key=f"form:{form.key.data}",
            by=access.actor(),
            author_id=access.signed_in().person_id,
            now=now,
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _publish_page(form, now, 422)
    incident_id = incident.id
    events.commit()
    flash(done("Published." if form.visibility.data == Visibility.PUBLIC else "Saved for staff only."))
    return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))


@blueprint.post("/preview")
def preview() -> Response:
    """What publishing the form as it stands would do."""
    access.require(Permission.INCIDENTS_PUBLISH)
    _only_read()
    return _preview_answer(_preview_of_report(ReportForm(), clock.utcnow()))


@blueprint.get("/<int:incident_id>")
def incident(incident_id: int) -> Response:
    """One report: its timeline, and the form of its next update."""
    found = _incident(incident_id)
    return _incident_page(found, _fresh_update_form(found), clock.utcnow())


@blueprint.post("/<int:incident_id>/updates")
def post_update(incident_id: int) -> Response:
    access.require(Permission.INCIDENTS_PUBLISH)
    now = clock.utcnow()
    found = _incident(incident_id)
    form = UpdateForm()
    if not form.validate():
        return _incident_page(found, form, now, 422)
    is_note = form.visibility.data == Visibility.PRIVATE
    try:
        actions.post_update(
            found,
            None if is_note else State(form.state.data),
            form.body.data or "",
            {} if is_note else _moved(found, form.components.data),
            visibility=Visibility(form.visibility.data),
            notify=form.notify.data,
            mail_affected_only=form.affected_only.data,
            next_update=form.promise(),
            idempotency_key=f"form:{form.key.data}",
            version=form.version.data or 0,
            by=access.actor(),
            author_id=access.signed_in().person_id,
            now=now,
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _incident_page(_incident(incident_id), form, now, 422)
    except (StaleEdit, StaleDataError):
        return _stale_update(incident_id, form, now)
    flash(done("Noted for staff." if is_note else "Update posted."))
    return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))


@blueprint.post("/<int:incident_id>/preview")
def preview_update(incident_id: int) -> Response:
    """What posting the update as it stands would do."""
    access.require(Permission.INCIDENTS_PUBLISH)
    _only_read()
    return _preview_answer(_preview_of_update(_incident(incident_id), UpdateForm(), clock.utcnow()))


@blueprint.route("/<int:incident_id>/edit", methods=["GET", "POST"])
def edit(incident_id: int) -> Response:
    """Change what a report is called and who sees it."""
    access.require(Permission.INCIDENTS_PUBLISH)
    found = _incident(incident_id)
    form = EditForm(obj=found)
    if not form.is_submitted():
        form.impact_override.data = found.impact_override or ""
        return _edit_page(found, form)
    if not form.validate():
        return _edit_page(found, form, 422)
    try:
        actions.edit(
            found,
            title=form.title.data or "",
            visibility=Visibility(form.visibility.data),
            audience=Audience(form.audience.data),
            impact_override=Impact(form.impact_override.data) if form.impact_override.data else None,
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _edit_page(_incident(incident_id), form, 422)
    except (StaleEdit, StaleDataError):
        return _stale_edit(incident_id, form)
    flash("Saved.")
    return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))


@blueprint.route("/<int:incident_id>/updates/<int:update_id>/edit", methods=["GET", "POST"])
def edit_update(incident_id: int, update_id: int) -> Response:
    """Correct the text of an update; nothing is mailed again."""
    access.require(Permission.INCIDENTS_PUBLISH)
    found = _incident(incident_id)
    update = _update(found, update_id)
    form = TextForm(obj=update)
    if not form.is_submitted():
        form.version.data = found.version
        return _text_page(found, update, form)
    if not form.validate():
        return _text_page(found, update, form, 422)
    now = clock.utcnow()
    version = form.version.data or 0
    try:
        actions.edit_update(update, found, form.body.data or "", version=version, by=access.actor(), now=now)
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        found = _incident(incident_id)
        return _text_page(found, _update(found, update_id), form, 422)
    except (StaleEdit, StaleDataError):
        events.rollback()
        found = _incident(incident_id)
        form.version.data = found.version
        return _text_page(found, _update(found, update_id), form, 409)
    flash("Corrected.")
    return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))


# The way here from every staff page


@dataclass(frozen=True)
class Link:
    """An open incident as the header of every staff page offers it."""

    title: str
    severity: Severity
    state: State
    since: datetime
    href: str
    update_href: str
    resolve_href: str


@blueprint.app_context_processor
def offer_open_incidents() -> dict[str, Any]:
    """`open_incident_links` for the staff header: read when it is looked at, once a request."""
    return {"open_incident_links": LocalProxy(_links)}


def _links() -> list[Link]:
    if "open_incident_links" not in g:
        person = access.viewer() if getattr(g, "on_staff_host", False) else None
        is_offered = person is not None and may(person.role, Permission.INCIDENTS_PUBLISH)
        heads = queries.open_incident_heads(LINKS_AT_MOST) if is_offered else ()
        g.open_incident_links = [_link(each) for each in heads]
    return cast(list[Link], g.open_incident_links)


def _link(incident: Incident) -> Link:
    href = url_for("admin_incidents.incident", incident_id=incident.id)
    return Link(
        title=incident.title,
        severity=SEVERITY_OF_IMPACT[incident.impact],
        state=incident.state,
        since=incident.started_at,
        href=href,
        update_href=f"{href}#update",
        resolve_href=f"{href}?state={State.FIXED}#update",
    )


# Pages


def _publish_page(form: ReportForm, now: datetime, status: int = 200) -> Response:
    return render(
        "admin/incidents/new.html",
        "admin/incidents/_report_form.html",
        status,
        form=form,
        choices=all_components(),
        severities=SEVERITIES,
        preview=_preview_of_report(form, now),
        now=now,
    )


def _incident_page(
    found: Incident, form: UpdateForm, now: datetime, status: int = 200, missed: list[IncidentUpdate] | None = None
) -> Response:
    broadcasts = queries.broadcasts_of(found)
    progress = progress_of_many(list(broadcasts.values()), now) if broadcasts else {}
    return render(
        "admin/incidents/incident.html",
        "admin/incidents/_timeline.html",
        status,
        incident=found,
        form=form,
        choices=all_components(),
        severities=SEVERITIES,
        standing={each.component_id: each.severity for each in found.components},
        worst_severity=worst(each.severity for each in found.components),
        last_update_at=next(
            (each.posted_at for each in queries.updates_for(STAFF, found) if each.visibility is Visibility.PUBLIC), None
        ),
        broadcasts=broadcasts,
        progress=progress,
        preview=_preview_of_update(found, form, now) if _may_publish() else None,
        may_publish=_may_publish(),
        missed=missed or [],
        now=now,
    )


def _edit_page(found: Incident, form: EditForm, status: int = 200, *, is_stale: bool = False) -> Response:
    return render(
        "admin/incidents/edit.html",
        "admin/incidents/_edit_form.html",
        status,
        incident=found,
        form=form,
        is_stale=is_stale,
    )


def _text_page(found: Incident, update: IncidentUpdate, form: TextForm, status: int = 200) -> Response:
    return render(
        "admin/incidents/text.html",
        "admin/incidents/_text_form.html",
        status,
        incident=found,
        update=update,
        form=form,
        is_stale=status == 409,
    )


def _stale_update(incident_id: int, form: UpdateForm, now: datetime) -> Response:
    """Somebody else wrote first: both are shown, the text is kept, and sending it again is a decision."""
    events.rollback()
    found = _incident(incident_id)
    seen_version = form.version.data or 0
    form.version.data = found.version
    newer = max(1, found.version - seen_version)
    return _incident_page(found, form, now, 409, missed=queries.updates_for(STAFF, found)[:newer])


def _stale_edit(incident_id: int, form: EditForm) -> Response:
    events.rollback()
    found = _incident(incident_id)
    form.version.data = found.version
    return _edit_page(found, form, 409, is_stale=True)


# Previews


def _preview_answer(found: Preview) -> Response:
    return render("admin/incidents/preview.html", "admin/incidents/preview.html", preview=found)


def _only_read() -> None:
    """A preview comes as a POST, because a text is too long for an address, but writes nothing: let go of the lock."""
    events.rollback()
    read_only.set(True)


def _preview_of_report(form: ReportForm, now: datetime) -> Preview:
    shown = Shown(
        title=form.title.data or "",
        body=form.body.data or "",
        state=_known(State, form.state.data, State.INVESTIGATING),
        severity=worst(form.components.data.values()),
        since=now - timedelta(minutes=form.began.data or 0),
        next_update=_promised(form.promise(), form.state.data, now),
    )
    return preview_of(
        shown,
        form.components.data,
        verb="Publish",
        audience=_known(Audience, form.audience.data, Audience.EVERYONE),
        visibility=_known(Visibility, form.visibility.data, Visibility.PUBLIC),
        notify=form.notify.data,
        affected_only=form.affected_only.data,
        now=now,
    )


def _preview_of_update(found: Incident, form: UpdateForm, now: datetime) -> Preview:
    state = _known(State, form.state.data, found.state)
    promised = _promised(form.promise(), state, now)
    shown = shown_after(found, state, _moved(found, form.components.data), form.body.data or "", promised)
    return preview_of(
        shown,
        {each.component_id for each in found.components} | set(form.components.data),
        verb=VERBS[move(found.state, state)],
        audience=found.audience,
        visibility=found.visibility,
        is_note=form.visibility.data == Visibility.PRIVATE,
        notify=form.notify.data,
        affected_only=form.affected_only.data,
        now=now,
    )


def _promised(promise: timedelta | None, state: str | None, now: datetime) -> datetime | None:
    # A minute later, because what is shown counts whole minutes and is read a moment after it was computed.
    return now + promise + timedelta(seconds=59) if promise and state != State.FIXED else None


def _known(kind: Any, value: str | None, otherwise: Any) -> Any:
    """The member of this name; a form that is still being filled in may hold anything."""
    return kind(value) if value in list(kind) else otherwise


# Small steps


def _may_publish() -> bool:
    return may(access.signed_in().role, Permission.INCIDENTS_PUBLISH)


def _incident(incident_id: int) -> Incident:
    found = queries.incident_for_staff(incident_id)
    if found is None:
        raise NotFound
    return found


def _update(found: Incident, update_id: int) -> IncidentUpdate:
    for update in found.updates:
        if update.id == update_id:
            return update
    raise NotFound


def _fresh_update_form(found: Incident) -> UpdateForm:
    """The update form as it opens: the state there is (or the one the link asks for), and every severity."""
    form = UpdateForm(formdata=None)
    wanted = request.args.get("state")
    form.state.data = wanted if wanted in list(State) else found.state.value
    form.components.data = {each.component_id: each.severity for each in found.components}
    form.version.data = found.version
    return form


def _moved(found: Incident, named: Mapping[int, Severity]) -> dict[int, Severity]:
    """Those of the named severities that differ from what stands."""
    standing = {each.component_id: each.severity for each in found.components}
    return {each: severity for each, severity in named.items() if standing.get(each) is not severity}


def _fill_in(form: ReportForm) -> None:
    form.title.data = request.args.get("title", "")[:200]
    wanted = request.args.get("component", "")
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 10:
        form.components.data = {int(wanted): SEVERITIES[0]}


def _filters() -> Filters:
    """The filters of the address; what is not known narrows nothing."""
    given = request.args
    shown = given.get("show", "")
    component = given.get("component", "")
    return Filters(
        text=text_wanted(),
        state=State(given["state"]) if given.get("state") in list(State) else None,
        is_open={"open": True, "fixed": False}.get(shown),
        visibility=Visibility.PRIVATE if shown == "private" else None,
        component_id=int(component) if component.isascii() and component.isdigit() and len(component) < 10 else None,
    )


def _address(**changes: str | None) -> str:
    """The address of the list with other filters; the page begins anew."""
    wanted = {**request.args.to_dict(), **changes}
    wanted.pop("page", None)
    query = urlencode({name: value for name, value in wanted.items() if value})
    return url_for("admin_incidents.index") + (f"?{query}" if query else "")
