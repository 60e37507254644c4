"""The permanent page of planned work, which mails and calendars lead to, and its entry for a calendar."""

from email.utils import parseaddr
from typing import cast

from flask import Blueprint, current_app
from werkzeug.wrappers import Response

from portal import access, calendars, clock
from portal.config import Settings
from portal.filters import markdown
from portal.fragments import render, wants_fragment
from portal.incidents.calendars import sequence_of, uid_of
from portal.incidents.letters import PATH
from portal.language import current
from portal.plaintext import from_html
from portal.public.maintenances.pages import maintenance_view, render_public_maintenance
from portal.public.status.everybody import answer_everybody

blueprint = Blueprint("public_maintenances", __name__)
access.status_readers(blueprint)


@blueprint.get("/maintenances/<public_id>")
def maintenance(public_id: str) -> Response:
    """Missing and invisible are the same: 404, or sign-in for somebody signed out, who may see more signed in."""
    viewpoint, now = access.status_viewpoint(), clock.utcnow()
    page, fragment = "public/maintenances/maintenance.html", "public/maintenances/_maintenance.html"
    if viewpoint.is_signed_out:
        template = fragment if wants_fragment() else page
        html = render_public_maintenance(template, access.portal(), public_id, now)
        return answer_everybody(html) if html else access.refuse_status_reader()
    view = maintenance_view(viewpoint, public_id, now)
    return render(page, fragment, **view) if view else access.refuse_status_reader()


@blueprint.get("/maintenances/<public_id>.ics")
def calendar(public_id: str) -> Response:
    """The work for a calendar: the same entry as the one that mails bring, so that none stands there twice."""
    viewpoint, now = access.status_viewpoint(), clock.utcnow()
    view = maintenance_view(viewpoint, public_id, now)
    if view is None:
        return access.refuse_status_reader()
    settings, found = cast(Settings, current_app.config["SETTINGS"]), view["maintenance"]
    whose = viewpoint.company_id if view["services"] else None
    entry = calendars.Entry(
        uid=uid_of(found.public_id, settings.mail_domain, whose),
        sequence=sequence_of(found.sequence, view["stand"]),
        starts_at=found.starts_at,
        ends_at=found.ends_at,
        is_cancelled=view["stand"] == "cancelled",
        changed_at=found.public_updated_at,
        organizer=parseaddr(settings.mail_from)[1],
    )
    text = from_html(markdown(next((update.body for update in reversed(found.updates) if update.body), "")))
    address = f"{access.portal().base_url}{PATH}{found.public_id}"
    event = calendars.event_of(entry, summary=found.title, description=text, language=current(), url=address)
    answer = current_app.response_class(calendars.calendar_of([event]), mimetype="text/calendar")
    answer.headers["Content-Disposition"] = f'attachment; filename="{found.public_id}.ics"'
    answer.headers["Cache-Control"] = "private, no-store"
    return answer
