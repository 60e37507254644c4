"""Where the screens of maintenance stand: one blueprint, whose modules each add their own addresses.

All staff may look; planning, steering and answering ask for INCIDENTS_PUBLISH on top.
"""

from flask import Blueprint

from portal import access
from portal.accounts.rules import Permission, may

blueprint = Blueprint("admin_maintenances", __name__, url_prefix="/admin/maintenances")
access.staff(blueprint, Permission.STAFF_ENTER)


def may_plan() -> bool:
    """Whether whoever looks may plan and steer maintenance."""
    return may(access.signed_in().role, Permission.INCIDENTS_PUBLISH)
