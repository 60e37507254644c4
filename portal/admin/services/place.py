"""Where the screens of service statuses stand: one blueprint, whose modules each add their own addresses.

All staff may look; setting a status, steering a window and keeping starter notes asks for SERVICES_SET on top.
"""

from flask import Blueprint

from portal import access
from portal.accounts.rules import Permission

blueprint = Blueprint("admin_service_status", __name__, url_prefix="/admin/services")
access.staff(blueprint, Permission.STAFF_ENTER)
