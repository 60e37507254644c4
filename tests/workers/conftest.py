"""The outbox of the notification tests, for the processes that work it off."""

from tests.notifications.conftest import environment, outbox

__all__ = ["environment", "outbox"]
