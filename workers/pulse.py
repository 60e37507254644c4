"""The heartbeat that needs no Redis: looks for due rows every few seconds and does their work itself."""

import logging
import secrets
import threading

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from portal import events
from portal.config import Settings
from portal.database import DatabaseReplacedError, read_only
from portal.logs import work_id
from workers import tasks

log = logging.getLogger(__name__)


def run(app: Flask, stop: threading.Event) -> None:
    """Work off what is due every PORTAL_PULSE_SECONDS until `stop` is set; ends within half a minute of that.

    Ends with SystemExit when the database was replaced under it: only a process that starts anew sees what is there.
    """
    settings: Settings = app.config["SETTINGS"]
    app.extensions["stopping"] = stop
    read_only.set(False)
    while not stop.is_set():
        with app.app_context():
            work_id.set(f"job:pulse-{secrets.token_hex(4)}")
            try:
                tasks.work_off()
            except DatabaseReplacedError as trouble:
                log.critical("%s: this process ends, so that it is started again on what is there", trouble)
                raise SystemExit(1) from None
            except SQLAlchemyError:
                # The rows stay due, so the next beat finds them; a pulse that dies would find nothing.
                log.exception("this beat could not do its work")
                events.rollback()
        stop.wait(settings.pulse_seconds)
