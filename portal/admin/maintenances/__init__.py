"""`/admin/maintenances`: planning and steering maintenance. Each module with addresses is imported here."""

from portal.admin.maintenances import routes, series, slots, steps
from portal.admin.maintenances.place import blueprint

__all__ = ["blueprint", "routes", "series", "slots", "steps"]
