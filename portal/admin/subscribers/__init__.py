"""`/admin/subscribers`: who hears of what is public without a login. Each module with addresses is imported here."""

from portal.admin.subscribers import log, routes
from portal.admin.subscribers.place import blueprint

__all__ = ["blueprint", "log", "routes"]
