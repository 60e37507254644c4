"""Who an audit entry names."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """The acting person, or the installation itself (a task, an import, the command line), with where from."""

    label: str
    person_id: int | None = None
    ip: str | None = None
    request_id: str | None = None


SYSTEM = Actor("system")
