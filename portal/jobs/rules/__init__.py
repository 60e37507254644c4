"""Jobs, quotes and their work statuses: what they may be, what customers see of them. Pure.

Sources: DESIGN section 5, and the decisions on status mapping (work-alerts-tickets, section 5.1).
"""

from portal.jobs.rules.changes import Carrying, carrying, looks_different
from portal.jobs.rules.checks import NAME_LENGTH, STATUSES_AT_MOST, Problem, check, normal, warnings
from portal.jobs.rules.colours import PALETTE, Swatch, normal_colour, text_colour
from portal.jobs.rules.defaults import SYSTEM, SystemStatus, default_row, defaults
from portal.jobs.rules.kinds import (
    ARCHIVABLE,
    CATEGORIES,
    CATEGORY_WORDS,
    PLURALS,
    ROLES,
    Category,
    Role,
    Showing,
    WorkKind,
    number_of,
    written_number,
)
from portal.jobs.rules.resolving import NEUTRAL_NAME, PublicStatus, Unseen, public_key, public_order, resolve
from portal.jobs.rules.statuses import StatusRow, StatusTable
from portal.jobs.rules.views import (
    KnownMove,
    Move,
    PublicEvent,
    PublicView,
    Resolver,
    Revision,
    Unveiling,
    fold,
    resolutions,
    seen_in,
    unveiled,
    view_of,
)

__all__ = [
    "ARCHIVABLE",
    "CATEGORIES",
    "CATEGORY_WORDS",
    "NAME_LENGTH",
    "NEUTRAL_NAME",
    "PALETTE",
    "PLURALS",
    "ROLES",
    "STATUSES_AT_MOST",
    "SYSTEM",
    "Carrying",
    "Category",
    "KnownMove",
    "Move",
    "Problem",
    "PublicEvent",
    "PublicStatus",
    "PublicView",
    "Resolver",
    "Revision",
    "Role",
    "Showing",
    "StatusRow",
    "StatusTable",
    "Swatch",
    "SystemStatus",
    "Unseen",
    "Unveiling",
    "WorkKind",
    "carrying",
    "check",
    "default_row",
    "defaults",
    "fold",
    "looks_different",
    "normal",
    "normal_colour",
    "number_of",
    "public_key",
    "public_order",
    "resolutions",
    "resolve",
    "seen_in",
    "text_colour",
    "unveiled",
    "view_of",
    "warnings",
    "written_number",
]
