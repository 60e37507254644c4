"""The small world of the incident tests, how an outage comes into it, and a status page for what machines read."""

from tests.api.v2.conftest import at, status_page  # noqa: F401 (fixtures are found by name)
from tests.customer.outages import outage_of  # noqa: F401
from tests.incidents.conftest import world  # noqa: F401
