"""How holdings are: what a company sees of its own, and what staff read over all of them."""

from portal.services.queries.picture import (
    CompanyPicture,
    Concern,
    PlannedWork,
    ServiceLine,
    company_picture,
    service_lines,
)
from portal.services.queries.stated import (
    live_windows,
    next_boundary,
    open_problems,
    stated_of_company,
    stated_under,
    view_at_home,
)
from portal.services.queries.undoing import undoable, why_not_undone

__all__ = [
    "CompanyPicture",
    "Concern",
    "PlannedWork",
    "ServiceLine",
    "company_picture",
    "live_windows",
    "next_boundary",
    "open_problems",
    "service_lines",
    "stated_of_company",
    "stated_under",
    "undoable",
    "view_at_home",
    "why_not_undone",
]
