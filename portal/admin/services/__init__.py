"""`/admin/services`: how services are, set and told of. Each module with addresses is imported here."""

from portal.admin.services import dashboard, history, routes, starter, timeliness, updates, windows, words
from portal.admin.services.place import blueprint

__all__ = ["blueprint", "dashboard", "history", "routes", "starter", "timeliness", "updates", "windows", "words"]
