"""The only writers of portal domains, their names, areas and wordings, and of who is admitted."""

from portal.domains.actions.access import set_areas, set_override
from portal.domains.actions.admissions import admit, dismiss
from portal.domains.actions.colours import set_status_colors
from portal.domains.actions.hosts import add_host, begin_check, remove_host, store_check, want_check
from portal.domains.actions.portals import add_domain, edit_domain, remove_domain
from portal.domains.actions.public_page import set_public_page
from portal.domains.actions.wordings import set_wordings

__all__ = [
    "add_domain",
    "add_host",
    "admit",
    "begin_check",
    "dismiss",
    "edit_domain",
    "remove_domain",
    "remove_host",
    "set_areas",
    "set_override",
    "set_public_page",
    "set_status_colors",
    "set_wordings",
    "store_check",
    "want_check",
]
