"""The tasks the queue knows, by name. Each is thin: what is due is found in the database; doing it twice is harmless.

They run in an app context, woken by RQ, by the timetable, or called by the pulse when there is no Redis.
Arguments are ids only.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from portal import events
from portal.accounts import actions as accounts
from portal.alerts.actions import clockwork as alerts
from portal.audit import actions as audit
from portal.catalogue import actions as catalogue
from portal.catalogue.notices import actions as notices
from portal.catalogue.notices.queries import due_notices
from portal.catalogue.queries.everyone import somebody_waits
from portal.clock import utcnow
from portal.config import Settings
from portal.database import read_only
from portal.domains import actions as domains
from portal.domains.checks import ask_host
from portal.domains.queries.hosts import checks_wait, host_to_check
from portal.files import cleaning, store
from portal.files.queries import cleaning_waits
from portal.files.store import StoreTroubleError
from portal.incidents.actions import clockwork as incidents
from portal.jobs import mails as work_mails
from portal.notifications import account_mails, actions, endings, leases, queries, relays
from portal.notifications.bounces import polling
from portal.notifications.channels import dialled, lane
from portal.notifications.channels import sending as channels
from portal.notifications.sending import Sender
from portal.notifications.subscribers import announcing
from portal.operation.watch import look_after_mails
from portal.records import exports, retention
from portal.records.queries import due_runs
from portal.records.working import Work
from portal.services import actions as services
from portal.services.questions import queries as questions
from portal.services.questions import switch
from workers import bounces, exporting

log = logging.getLogger(__name__)

EXPANDING_SECONDS = 1.0
"""How long recipients are written down before those there are get their turn to be sent."""

Due = tuple[Callable[[int, datetime], bool], int]
"""What does something that is due, with the row it is due of; whether it did anything."""

SENDING_SECONDS = 25.0
"""How long one task sends before it makes room for what else is due; the rest is woken again."""


def expand(broadcast_id: int) -> None:
    """Write down recipients of a broadcast for a while; wakes the sending, and itself while there are more.

    A broadcast whose recipients cannot be worked out is paused with the reason, so that it holds up no other.
    """
    try:
        _expand(broadcast_id)
    except SQLAlchemyError:
        raise
    except Exception as trouble:
        log.exception("the recipients of broadcast %s cannot be worked out", broadcast_id)
        events.rollback()
        actions.give_up_expanding(broadcast_id, f"{type(trouble).__name__}: {trouble}", utcnow())
        events.commit()


def _expand(broadcast_id: int) -> None:
    began = time.monotonic()
    while _expand_some(broadcast_id):
        events.wake("deliver")
        if _stopping().is_set() or time.monotonic() - began > EXPANDING_SECONDS:
            events.wake("expand", broadcast_id)
            events.commit()
            return
        events.commit()
    events.wake("deliver")
    events.commit()


def _expand_some(broadcast_id: int) -> bool:
    """Write down some recipients, which are worked out before anybody else has to wait; whether there are more."""
    read_only.set(True)
    try:
        step = actions.next_step(broadcast_id, utcnow())
        events.rollback()
    finally:
        read_only.set(False)
    return step is not None and actions.write_step(step, utcnow())


def deliver_channels() -> None:
    """Have the lane of channels run beside everything else here: a receiver that hangs must not delay a mail."""
    channels.start(current_app._get_current_object(), now=utcnow, stop=_stopping())  # type: ignore[attr-defined]


def _tell_channels() -> None:
    """Start the lane where a channel has something due."""
    is_due = lane.count_due(utcnow(), 1)
    events.rollback()
    if is_due:
        deliver_channels()


def start_notices() -> None:
    """Start the notices that are due. One that cannot be started is a draft again, and holds up no other."""
    due = due_notices(utcnow())
    events.rollback()
    for notice_id in due:
        try:
            notices.start_due(notice_id, utcnow())
        except SQLAlchemyError:
            raise
        except Exception as trouble:
            log.exception("notice %s cannot be started", notice_id)
            events.rollback()
            notices.give_up(notice_id, f"{type(trouble).__name__}: {trouble}", utcnow())
        events.commit()


def deliver() -> None:
    """Send what is due, for a while; wakes itself when the time was not enough."""
    _tell_channels()
    if _send():
        events.wake("deliver")
        events.commit()


def check_hosts() -> None:
    """Ask the names of portal domains that wait for it whether they lead here, one after the other."""
    while not _stopping().is_set() and _check_host():
        pass


def _check_host() -> bool:
    """Ask the name that has waited longest, with no transaction open meanwhile; whether there was one."""
    host_id = domains.begin_check(utcnow())
    events.commit()
    if host_id is None:
        return False
    wanted = host_to_check(host_id)
    events.rollback()
    if wanted is not None:
        found = ask_host(*wanted, current_app.config["SETTINGS"])
        domains.store_check(host_id, *found, now=utcnow())
        events.commit()
    return True


def write_account_mails() -> None:
    """Write the letters about accounts that are wanted: invitations, ways back in, word of what was done."""
    is_more = True
    while is_more and not _stopping().is_set():
        is_more = account_mails.write_account_mails(utcnow())
        events.commit()


def mail_work() -> None:
    """Mail the changes of public statuses that have waited long enough for further ones."""
    while not _stopping().is_set() and work_mails.mail_notices(utcnow()):
        events.commit()
    events.commit()


def _mail_work_that_is_due() -> None:
    is_due = work_mails.notices_due(utcnow())
    events.rollback()
    if is_due:
        mail_work()


def hold_global_services() -> None:
    """Give the companies that have come since what every company holds, some thousand at a time."""
    is_more = True
    while is_more and not _stopping().is_set():
        is_more = catalogue.hold_global_services(utcnow())
        events.commit()


def _hold_global_services_where_they_wait() -> None:
    is_due = somebody_waits()
    events.rollback()
    if is_due:
        hold_global_services()


def look_after_services() -> None:
    """Have scheduled service remind, start and end, and ask staff what stands. What fails holds up no other."""
    now = utcnow()
    services.close_of_ended_holdings(now)
    events.commit()
    due: list[Due] = [
        *((services.look_after, window_id) for window_id in services.due_windows(now)),
        *((services.nag, update_id) for update_id in services.due_nags(now)),
    ]
    _look_after(due)


def look_after_incidents() -> None:
    """Have maintenance remind, start, end and recur, and whatever else of incidents is due. What fails holds up no
    other."""
    _look_after(incidents.due(utcnow()))


def tell_announcements() -> None:
    """Tell subscribers of announcements that have begun to stand, and call off what is gone. What fails holds up no
    other."""
    _look_after(announcing.due(utcnow()))


def evaluate_alerts() -> None:
    """Look at the alerts that are due, slice by slice, after what has come in and happened since."""
    for look in (alerts.follow, alerts.evaluate, alerts.tell_staff):
        is_more = True
        while is_more and not _stopping().is_set():
            is_more = look(utcnow())
            events.commit()


def _evaluate_alerts_that_are_due() -> None:
    is_due = alerts.is_anything_due(utcnow())
    events.rollback()
    if is_due:
        evaluate_alerts()


def _look_after(due: list[Due]) -> None:
    events.rollback()
    for do, row_id in due:
        if _stopping().is_set():
            return
        try:
            do(row_id, utcnow())
        except SQLAlchemyError:
            raise
        except Exception:
            log.exception("%s of %s cannot be done", do.__name__, row_id)
            events.rollback()
        events.commit()


def _look_after_incidents_that_are_due() -> None:
    is_due = incidents.is_anything_due(utcnow())
    events.rollback()
    if is_due:
        look_after_incidents()


def _tell_announcements_that_are_due() -> None:
    is_due = announcing.is_anything_due(utcnow())
    events.rollback()
    if is_due:
        tell_announcements()


def _look_after_services_that_are_due() -> None:
    is_due = services.is_anything_due(utcnow())
    events.rollback()
    if is_due:
        look_after_services()


def poll_bounces() -> None:
    """Read the reports that wait in the mailbox; wakes itself when there were more than one look takes."""
    if bounces.poll(current_app.config["SETTINGS"], _stopping().is_set):
        events.wake("poll_bounces")
        events.commit()


def clean_files() -> None:
    """Take away the bytes of files that are gone, and files that were chosen for a form nobody sent."""
    if cleaning.may_take_away(utcnow()):
        while not _stopping().is_set() and cleaning.clean_some(store.of_app(), utcnow()):
            pass


def sweep_files() -> None:
    """Look through the store for what has no row. A store that does not answer is looked through tomorrow."""
    if not cleaning.may_take_away(utcnow()):
        return
    try:
        cleaning.sweep(store.of_app(), utcnow())
    except (OSError, StoreTroubleError) as trouble:
        log.warning("the store of files cannot be looked through: %s", trouble)
    finally:
        events.rollback()


def _clean_files_that_are_gone() -> None:
    is_due = cleaning_waits(utcnow())
    events.rollback()
    if is_due:
        clean_files()


def bring_in(run_id: int) -> None:
    """Make the dry run of an import, or apply it, whichever it waits for; nothing when another process is at it."""
    settings: Settings = current_app.config["SETTINGS"]
    Work(run_id, now=utcnow, lease_seconds=settings.lease_seconds, stop=_stopping()).run()


def _bring_in_what_is_due() -> bool:
    """Every import that waits, one after the other; whether there was one."""
    due = due_runs(utcnow())
    events.rollback()
    for run_id in due:
        bring_in(run_id)
    return bool(due)


def beat() -> None:
    """Once a minute: put right what time has changed, and wake whoever has something to do again."""
    _put_right()
    seal()
    if due_notices(utcnow()):
        events.wake("start_notices")
    for broadcast_id in queries.due_expansions(utcnow()):
        events.wake("expand", broadcast_id)
    events.wake("deliver")
    events.wake("deliver_channels")
    for run_id in due_runs(utcnow()):
        events.wake("bring_in", run_id)
    for run_id in exports.due(utcnow()):
        events.wake("export", run_id)
    for name, is_due in (
        ("check_hosts", checks_wait()),
        ("poll_bounces", polling.is_due(current_app.config["SETTINGS"], utcnow())),
        ("clean_files", cleaning_waits(utcnow())),
        ("mail_work", work_mails.notices_due(utcnow())),
        ("look_after_services", services.is_anything_due(utcnow())),
        ("look_after_incidents", incidents.is_anything_due(utcnow())),
        ("tell_announcements", announcing.is_anything_due(utcnow())),
        ("evaluate_alerts", alerts.is_anything_due(utcnow())),
        ("hold_global_services", somebody_waits()),
    ):
        if is_due:
            events.wake(name)
    events.commit()


def look_after_assistant() -> None:
    """Tell `portal up` whether assistants are answered, so that their server runs just while they are."""
    is_open = questions.is_open()
    events.rollback()
    settings: Settings = current_app.config["SETTINGS"]
    try:
        switch.mark(settings.instance, is_open)
    except OSError:
        # Elsewhere than under `portal up` nobody looks, and the folder may not be ours to write in.
        log.debug("nobody can be told whether assistants are answered", exc_info=True)


def work_off() -> None:
    """All of this without Redis, in turns, until nothing is due or this process is asked to end: the pulse's part."""
    look_after_assistant()
    _put_right()
    seal()
    if retention.due(utcnow()):
        tidy_up()
    _clean_files_that_are_gone()
    _hold_global_services_where_they_wait()
    is_more = True
    while is_more and not _stopping().is_set():
        write_account_mails()
        _look_after_services_that_are_due()
        _look_after_incidents_that_are_due()
        _tell_announcements_that_are_due()
        _evaluate_alerts_that_are_due()
        _mail_work_that_is_due()
        _tell_channels()
        due = queries.due_expansions(utcnow())
        events.rollback()
        for broadcast_id in due:
            expand(broadcast_id)
        # One name a turn: asking may take some seconds, and mails go first.
        is_more = _send() or bool(due)
        is_more = _check_host() or is_more
        is_more = _bring_in_what_is_due() or is_more
        is_more = _export_what_is_due() or is_more
        is_more = bounces.poll(current_app.config["SETTINGS"], _stopping().is_set) or is_more


def _put_right() -> None:
    """Take back what dead processes held; close what has expired or is complete."""
    now = utcnow()
    leases.release_expired(now)
    lane.release_expired(now)
    endings.expire(now)
    lane.expire(now)
    dialled.tidy(now)
    endings.finish(now)
    relays.forget_use(now)
    look_after_mails(now)
    events.commit()


def _send() -> bool:
    """Send for a while; whether there was not time enough."""
    settings: Settings = current_app.config["SETTINGS"]
    sender = Sender(settings, now=utcnow, stop=_stopping(), seconds=SENDING_SECONDS)
    sender.run()
    return sender.was_cut_short and not _stopping().is_set()


def seal() -> None:
    """Give what the audit trail has taken in its place in the chain; two at once never fork it."""
    while audit.fold(utcnow()) and not _stopping().is_set():
        events.commit()
    events.rollback()
    while audit.seal(utcnow()) and not _stopping().is_set():
        events.commit()
    events.rollback()


def export(run_id: int) -> None:
    """Make an export, unless somebody is making it."""
    exporting.make(run_id, _stopping().is_set)


def tidy_up() -> None:
    """Forget what is older than its retention, a bounded piece at a time, and throttles that say nothing any more."""
    accounts.prune_throttles(utcnow())
    events.commit()
    for name in retention.due(utcnow()):
        _forget(name)
    sweep_files()


def _forget(name: str) -> None:
    """Forget one kind of record until nothing of it is too old, or this process is asked to end."""
    count = 0
    while not _stopping().is_set() and (gone := retention.forget_some(name, utcnow())):
        count += gone
        events.commit()
    events.rollback()
    retention.note_forgotten(name, count, utcnow())
    events.commit()


def _export_what_is_due() -> bool:
    """Make the exports that wait; whether there were any."""
    waiting = exports.due(utcnow())
    events.rollback()
    for run_id in waiting:
        export(run_id)
    return bool(waiting)


def _stopping() -> threading.Event:
    """Set once this process was asked to end."""
    event: threading.Event = current_app.extensions.setdefault("stopping", threading.Event())
    return event
