"""`/admin/settings/assistant`: Assistant → Permissions → Service status access."""

from flask import Blueprint, current_app, flash
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.assistant.forms import PermissionsForm
from portal.config import Settings
from portal.fragments import redirect_to, render
from portal.services.actions.assistant import set_assistant
from portal.services.queries.settings import settings

blueprint = Blueprint("admin_assistant", __name__)
access.staff(blueprint, Permission.PORTALS_EDIT)


@blueprint.route("/admin/settings/assistant", methods=["GET", "POST"])
def permissions() -> Response:
    """The switch, and where assistants find the answers while it is on."""
    access.require_recent_password()
    usual = settings()
    form = PermissionsForm(version=usual.version, is_open=usual.is_assistant_open)
    if not form.validate_on_submit():
        status = 422 if form.is_submitted() else 200
        return render(
            "admin/assistant/permissions.html",
            "admin/assistant/_permissions.html",
            status,
            form=form,
            is_open=usual.is_assistant_open,
            address=address_of_assistants(),
        )
    has_changed = set_assistant(
        form.is_open.data, version=form.version.data or 0, by=access.actor(), now=clock.utcnow()
    )
    events.commit()
    flash("Saved." if has_changed else "Nothing was changed.")
    return redirect_to("/admin/settings/assistant")


def address_of_assistants() -> str:
    """Where the server of assistants answers on this machine; empty where it was given no port."""
    own: Settings = current_app.config["SETTINGS"]
    return f"http://127.0.0.1:{own.mcp_port}/mcp" if own.mcp_port else ""
