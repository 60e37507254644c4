"""Alerts of the cast's companies, as staff make them, and figures to judge by."""

from tests.admin.alerts.conftest import balance, make_alert  # noqa: F401 (fixtures are found by name)
