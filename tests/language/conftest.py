"""The small world of the incident tests, and how an outage comes into it."""

from tests.customer.outages import outage_of  # noqa: F401 (fixtures are found by name)
from tests.incidents.conftest import world  # noqa: F401
