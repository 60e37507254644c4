"""`/admin/incidents/<id>/changes`: what a report said before it was changed, and from when to when customers saw it."""

from flask import Response, abort

from portal.admin.forms import page_wanted
from portal.admin.incidents.beside import blueprint, incident_or_404
from portal.fragments import render
from portal.incidents.queries.revisions import revisions_of
from portal.incidents.rules.revisions import Revised

WORDS = {
    Revised.TITLE: "Title",
    Revised.TEXT: "Text of an update",
    Revised.VISIBILITY: "Visibility",
    Revised.AUDIENCE: "Audience",
    Revised.IMPACT: "Impact",
    Revised.WORDING: "Wording for some",
    Revised.POSTMORTEM: "Postmortem",
    Revised.TITLE_IN: "Title in another language",
    Revised.TEXT_IN: "Text of an update in another language",
    Revised.WORDING_IN: "Wording for some in another language",
    Revised.POSTMORTEM_IN: "Postmortem in another language",
}


@blueprint.get("/<int:incident_id>/changes")
def changes(incident_id: int) -> Response:
    """The changes of a report, newest first, 25 a page."""
    found = incident_or_404(incident_id)
    versions = revisions_of(incident_id, page_wanted())
    if versions is None:
        abort(404)
    return render(
        "admin/incidents/changes.html",
        "admin/incidents/_changes.html",
        incident=found,
        versions=versions,
        words=WORDS,
    )
