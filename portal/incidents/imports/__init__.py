"""Importing the history of another status page, in the shape of the Statuspage API v2.

The file is read and checked whole (`reading.py`) before anything is written (`writing.py`). Rows are found again by the
ids they have there, unique per source (the id of the page), so a second run changes only what differs. Nothing is ever
mailed.
"""

from portal.incidents.imports.reading import as_markdown
from portal.incidents.imports.writing import ImportReport, import_statuspage

__all__ = [
    "ImportReport",
    "as_markdown",
    "import_statuspage",
]
