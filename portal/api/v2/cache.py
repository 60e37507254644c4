"""The documents of `/api/v2`, kept: whoever asks is given the same, whatever cookie or parameters come along."""

from wsgiref.types import WSGIEnvironment

from portal.api.v2.documents import DOCUMENTS
from portal.kept import KeptAnswers

PATHS = frozenset(f"/api/v2/{name}.json" for name in DOCUMENTS)


class PublicDocuments(KeptAnswers):
    """Answers for every document of `/api/v2`."""

    def wanted(self, environ: WSGIEnvironment) -> str | None:
        path: str = environ["PATH_INFO"]
        return path if path in PATHS and environ["REQUEST_METHOD"] in {"GET", "HEAD"} else None
