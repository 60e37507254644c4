"""Reading jobs, quotes and their work statuses."""

from portal.jobs.queries.folding import views_at_once
from portal.jobs.queries.previews import Change, Preview, preview
from portal.jobs.queries.settings import (
    Counted,
    Settings,
    known_revision,
    open_counts,
    revisions,
    settings_of,
    stored_counts,
    table_of,
    tables,
    unveilings,
)
from portal.jobs.queries.views import moves_of, public_view, views_of

__all__ = [
    "Change",
    "Counted",
    "Preview",
    "Settings",
    "known_revision",
    "moves_of",
    "open_counts",
    "preview",
    "public_view",
    "revisions",
    "settings_of",
    "stored_counts",
    "table_of",
    "tables",
    "unveilings",
    "views_at_once",
    "views_of",
]
