"""The small world of incidents, for the screens of availability."""

from tests.incidents.conftest import world

__all__ = ["world"]
