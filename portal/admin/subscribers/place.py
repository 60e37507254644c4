"""Where the screens of subscribers stand: one blueprint, whose modules each add their own addresses.

All staff may look; adding, resting and telling once more ask for SUPPRESSIONS_EDIT on top.
"""

from flask import Blueprint

from portal import access
from portal.accounts.rules import Permission

LIST = "/admin/subscribers"

blueprint = Blueprint("admin_subscribers", __name__, url_prefix=LIST)
access.staff(blueprint, Permission.COMPANIES_READ)
