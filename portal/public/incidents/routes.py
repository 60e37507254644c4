"""The permanent page of one incident, which mails lead to."""

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response

from portal import access, clock
from portal.fragments import render, wants_fragment
from portal.incidents.queries.merging import led_to
from portal.public.status.everybody import answer_everybody
from portal.public.status.pages import incident_view, language_of_reader, render_public

blueprint = Blueprint("public_incidents", __name__)
access.status_readers(blueprint)


@blueprint.get("/incidents/<public_id>")
def incident(public_id: str) -> Response:
    """Missing and invisible are the same: 404, or sign-in for somebody signed out, who may see more signed in.

    The address of a report that was merged into another leads to the other, for whoever may see both.
    """
    viewpoint, now = access.status_viewpoint(), clock.utcnow()
    if target := led_to(viewpoint, public_id, now):
        return redirect(url_for("public_incidents.incident", public_id=target))
    page, fragment = "public/incidents/incident.html", "public/incidents/_incident.html"
    if viewpoint.is_signed_out:
        template = fragment if wants_fragment() else page
        domain = access.portal()
        language = language_of_reader(domain)
        html = render_public(template, domain, language, lambda: incident_view(viewpoint, public_id, now))
        return answer_everybody(html) if html else access.refuse_status_reader()
    view = incident_view(viewpoint, public_id, now)
    return render(page, fragment, **view) if view else access.refuse_status_reader()
