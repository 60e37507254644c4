"""Work of the cast's companies, as the tests of customers' pages make it."""

from tests.customer.jobs.conftest import work  # noqa: F401
