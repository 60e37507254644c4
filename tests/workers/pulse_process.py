"""`portal pulse` with the test kind known to it: what the kill tests start, and kill."""

import os
import signal
import threading

from portal import create_app
from portal.config import Settings
from tests.notifications import outbox
from workers import pulse

if __name__ == "__main__":
    assert outbox.TEST_KIND
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    pulse.run(create_app(Settings.from_environment(os.environ)), stop)
