"""The world of the incident tests, for what of it stands on the page of a company."""

from tests.incidents.conftest import world

__all__ = ["world"]
