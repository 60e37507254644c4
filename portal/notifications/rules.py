"""The outbox, pure: states, what a server's answer means, when to try again, names of mails, figures of progress.

Source: reliability-security, sections 4.1 to 4.5.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class BroadcastState(StrEnum):
    """EXPANDING until every recipient has its delivery, then SENDING; DONE once no delivery is open."""

    EXPANDING = "expanding"
    SENDING = "sending"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


ACTIVE = (BroadcastState.EXPANDING, BroadcastState.SENDING)
"""The states in which mails of a broadcast may go out."""


class DeliveryState(StrEnum):
    """PENDING → SENDING → SENT; the others end it, but for soft failures, which go back to PENDING.

    What is being sent is stored before it is offered to a server: a mail stays PENDING and is named on a slice
    (`marks.py`), a message of another channel is SENDING. UNKNOWN is a mail that was offered twice and never
    answered: possibly sent, for a human to judge.
    """

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


OPEN_STATES = (DeliveryState.PENDING, DeliveryState.SENDING)


class SuppressionReason(StrEnum):
    """Why nothing goes to an address. QUARANTINED rests for a while and ends by itself: its mailbox was full, or mails
    to it were put off until they were too old, again and again."""

    HARD_BOUNCE = "hard_bounce"
    QUARANTINED = "quarantined"
    UNSUBSCRIBED = "unsubscribed"
    COMPLAINT = "complaint"
    BY_HAND = "by_hand"


class SuppressionSource(StrEnum):
    """How we know of it. DELIVERY is what a server answered us, REPORT a bounce report that came later."""

    DELIVERY = "delivery"
    REPORT = "report"
    COMPLAINT = "complaint"
    RECIPIENT = "recipient"
    STAFF = "staff"


USUAL_SOURCE = {
    SuppressionReason.HARD_BOUNCE: SuppressionSource.DELIVERY,
    SuppressionReason.QUARANTINED: SuppressionSource.DELIVERY,
    SuppressionReason.UNSUBSCRIBED: SuppressionSource.RECIPIENT,
    SuppressionReason.COMPLAINT: SuppressionSource.COMPLAINT,
    SuppressionReason.BY_HAND: SuppressionSource.STAFF,
}
"""Where a suppression of each reason comes from unless somebody knows better."""

STRIKES = 3
"""Different days on which mails failed for now, after which an address is left alone (status-pages, section 4.3)."""

STRIKE_WINDOW = timedelta(days=30)
QUARANTINE = timedelta(days=30)


class RelayState(StrEnum):
    """PAUSED opens again by itself, BROKEN when an admin has acted."""

    UP = "up"
    PAUSED = "paused"
    BROKEN = "broken"


TOLD_UP_TO = "told_up_to"
"""In the frozen selector of a broadcast that tells fewer than it was to: the priority of the last who are told."""

CALLED_OFF = "Called off: by now fewer are told of it than were to be."
"""What stands as the answer on a message to somebody else."""

EVERY_TOPIC = "all"
"""The scope of a suppression that stops every mail to an address."""


# What a server's answer means.


class Stage(StrEnum):
    """How far the conversation had come when it was answered, or broke off. DOT: the whole message was offered."""

    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


class Failure(StrEnum):
    """What kind of failure an answer is, which decides what happens to the mail, its address and the relay.

    RELAY: its fault, it is paused and no attempt is counted · CONFIGURATION: the same until an admin acts ·
    SOFT: tried again on the schedule · HARD: no such address, suppressed · MESSAGE_FULL: mailbox full, tried
    three times · TOO_LARGE and REFUSED: this mail fails, the address stays · REPUTATION: policy, our fault,
    counted by the breaker · DROP_NO_DOUBT: broke off before the message was offered · IN_DOUBT: after ·
    POISON: could not be composed.
    """

    RELAY = "relay"
    CONFIGURATION = "configuration"
    SOFT = "soft"
    HARD = "hard"
    MESSAGE_FULL = "message_full"
    TOO_LARGE = "too_large"
    REFUSED = "refused"
    REPUTATION = "reputation"
    DROP_NO_DOUBT = "drop_no_doubt"
    IN_DOUBT = "in_doubt"
    POISON = "poison"


RELAY_AT_FAULT = frozenset({Failure.RELAY, Failure.CONFIGURATION})

_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_NO_SUCH_ADDRESS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
_POLICY = re.compile(
    r"spam|policy|blocked|black ?list|block ?list|reputation|dmarc|dkim|\bspf\b|denied by", re.IGNORECASE
)
_SIZE = re.compile(r"size|large|too big", re.IGNORECASE)
_BEFORE_A_RECIPIENT = frozenset({Stage.CONNECT, Stage.TLS, Stage.GREETING, Stage.AUTH, Stage.MAIL})


def enhanced_code(text: str) -> str | None:
    """The enhanced status code (RFC 3463) an answer begins with, such as "5.1.1"."""
    found = _ENHANCED.match(text)
    return found.group(1) if found else None


def classify(stage: Stage, code: int | None, text: str = "") -> Failure:
    """What this refusal means; a code of None is a conversation that broke off or timed out."""
    if code is None:
        return _broken_off(stage)
    enhanced = enhanced_code(text)
    if stage in _BEFORE_A_RECIPIENT or code in {421, 530, 535}:
        return _of_the_relay(stage, code, enhanced)
    if code < 500:
        return Failure.MESSAGE_FULL if enhanced == "4.2.2" else Failure.SOFT
    return _permanent_by_enhanced(code, enhanced, text) if enhanced else _permanent_by_code(stage, code, text)


def _of_the_relay(stage: Stage, code: int, enhanced: str | None) -> Failure:
    if stage is Stage.MAIL and enhanced == "5.3.4":
        return Failure.TOO_LARGE
    return Failure.CONFIGURATION if code >= 500 and stage is not Stage.TLS else Failure.RELAY


def _broken_off(stage: Stage) -> Failure:
    if stage is Stage.DOT:
        return Failure.IN_DOUBT
    return Failure.DROP_NO_DOUBT if stage in {Stage.MAIL, Stage.RCPT, Stage.DATA} else Failure.RELAY


def _permanent_by_enhanced(code: int, enhanced: str, text: str) -> Failure:
    if enhanced.startswith("5.7."):
        return Failure.REPUTATION
    if enhanced in _NO_SUCH_ADDRESS:
        return Failure.HARD
    if enhanced == "5.2.2":
        return Failure.MESSAGE_FULL
    if enhanced in {"5.2.3", "5.3.4"}:
        return Failure.TOO_LARGE
    return Failure.REPUTATION if code == 554 and _POLICY.search(text) else Failure.REFUSED


def _permanent_by_code(stage: Stage, code: int, text: str) -> Failure:
    if code == 552:
        return Failure.TOO_LARGE if _SIZE.search(text) else Failure.MESSAGE_FULL
    if code == 554 or _POLICY.search(text):
        return Failure.REPUTATION
    return Failure.HARD if stage is Stage.RCPT and code in {550, 551, 553} else Failure.REFUSED


# When to try again.

RETRY_MINUTES = (1, 5, 5, 15, 30, 60, 120, 240, 360)
"""Minutes to wait after the first, second … try, the last for all later ones. Three of them outlast postgrey."""

LONGEST_HINT = timedelta(hours=4)
AFTER_A_DROP = timedelta(minutes=1)
AFTER_DOUBT = timedelta(minutes=10)
MAILBOX_FULL_TRIES = 3
MAILBOX_FULL_MAILS = 3
MAILBOX_FULL_WINDOW = timedelta(days=7)

_HINT = re.compile(r"\b(?:in|after|for)\s+(\d{1,6})\s*(s|sec|second|m|min|minute)(?:s|\b)", re.IGNORECASE)


def wait_hint(text: str) -> timedelta | None:
    """What a server asked for with "try again in N seconds" (or minutes), at most four hours."""
    found = _HINT.search(text)
    if not found:
        return None
    amount = int(found.group(1))
    asked = timedelta(minutes=amount) if found.group(2).lower().startswith("m") else timedelta(seconds=amount)
    return min(asked, LONGEST_HINT)


def retry_delay(tries: int, jitter: float, text: str = "") -> timedelta:
    """How long to wait after `tries` soft failures (from 1); `jitter` is a random number from -1 to 1, worth 10 %.

    A server that names a time is believed, and asked once more a little later than it said.
    """
    hint = wait_hint(text)
    if hint is not None:
        return hint * (1 + 0.05 * (jitter + 1)) + timedelta(seconds=1)
    minutes = RETRY_MINUTES[min(max(tries, 1), len(RETRY_MINUTES)) - 1]
    return timedelta(minutes=minutes) * (1 + 0.1 * jitter)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a delivery after a failure: its state, when it is tried again, whether this counts as a try."""

    state: DeliveryState
    delay: timedelta = timedelta(0)
    is_counted: bool = True


def verdict(failure: Failure, *, tries: int, doubts: int, repeat_in_doubt: bool, jitter: float, text: str) -> Verdict:
    """What becomes of a delivery. `tries` and `doubts` count this one; `text` is what the server said."""
    if failure in RELAY_AT_FAULT:
        return Verdict(DeliveryState.PENDING, is_counted=False)
    if failure is Failure.SOFT or (failure is Failure.MESSAGE_FULL and tries < MAILBOX_FULL_TRIES):
        return Verdict(DeliveryState.PENDING, retry_delay(tries, jitter, text))
    if failure is Failure.DROP_NO_DOUBT:
        return Verdict(DeliveryState.PENDING, AFTER_A_DROP)
    if failure is Failure.IN_DOUBT:
        once_more = repeat_in_doubt and doubts < 2
        return Verdict(DeliveryState.PENDING, AFTER_DOUBT) if once_more else Verdict(DeliveryState.UNKNOWN)
    return Verdict(DeliveryState.FAILED)


FIRST_PAUSE = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(minutes=15)


def next_pause(last: timedelta) -> timedelta:
    """How long a relay rests that failed again: a minute, then twice as long each time, at most 15 minutes."""
    return min(max(last * 2, FIRST_PAUSE), LONGEST_PAUSE)


BREAKER_IN_A_ROW = 20
BREAKER_WINDOW = 200
BREAKER_SHARE = 0.05


def breaker_opens(refused: Sequence[bool]) -> bool:
    """Whether policy refusals stop a broadcast. `refused` tells of its last results, newest first:
    20 in a row, or more than 5 % of the last 200."""
    window = refused[:BREAKER_WINDOW]
    in_a_row = len(window) >= BREAKER_IN_A_ROW and all(window[:BREAKER_IN_A_ROW])
    return in_a_row or (len(window) == BREAKER_WINDOW and sum(window) > BREAKER_SHARE * BREAKER_WINDOW)


# Names of mails: stable over retries, and not to be guessed.


def dedupe_key(event: str, channel: str, address_key: str) -> str:
    """What makes a delivery the same delivery: one event, one channel, one address."""
    return hashlib.sha256("|".join((event, channel, address_key)).encode()).hexdigest()


def name_key(secret: str) -> bytes:
    """The key Message-IDs are made with: of the installation's secret, for this purpose only."""
    return hmac.digest(secret.encode(), b"signalbox message id", "sha256")


HASHED = "sha256:"
"""How the key of a suppression begins whose address was erased with its person."""


def hashed_address(secret: str, address_key: str) -> str:
    """What stands for an address that must not be mailed but may no longer be known; needs the secret to be tried."""
    key = hmac.digest(secret.encode(), b"signalbox suppression", "sha256")
    return HASHED + hmac.digest(key, address_key.encode(), "sha256").hex()


def message_id(key: bytes, of: str, domain: str) -> str:
    """The Message-ID of a delivery (`of` is its dedupe key), angle brackets included."""
    number = int.from_bytes(hmac.digest(key, of.encode(), "sha256")[:17], "big") >> 6
    token = "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
    return f"<{token}@{domain}>"


_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _BASE32 for second in _BASE32]
_SHIFTS = range(120, -1, -10)
"""The first 26 letters of base32 are 130 bits, taken ten at a time: the standard library is four times as slow."""


def thread_root(key: bytes, thread: str, address_key: str, domain: str) -> str:
    """The root all mails of one thread to one address refer to; no mail bears it, so one can join late."""
    return message_id(key, f"thread|{thread}|{address_key}", domain)


# What may stand in a header.

_BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x80-\x9f\u2028\u2029\ud800-\udfff]")
_ENCODED_WORD = re.compile(r"=\?[^?\s]*\?[bqBQ]\?")


class HeaderError(ValueError):
    """Text that may not stand in a mail header: it breaks the line or pretends to be encoded."""


def header_text(text: str) -> str:
    """The text itself if it may stand in a header; HeaderError for line breaks, controls and raw encoded words.

    Python's own mail package once decoded an encoded line break in a subject into a second header (CVE-2024-6923).
    """
    if _BREAKS.search(text):
        raise HeaderError("it holds a line break or another control character")
    if _ENCODED_WORD.search(text):
        raise HeaderError("it holds an encoded word")
    return text


# Progress.


@dataclass(frozen=True)
class Progress:
    """How far a broadcast is, counted from its deliveries. `per_second` is the pace of the last minute.

    `waiting` has not been tried or is on its way; `retrying` was put off by a server; `failed` will not arrive;
    `left_out` is suppressed, cancelled or expired; `doubtful` was offered twice and never answered.
    `twice` of those sent were offered again because nobody heard the answer to the first, so may have arrived twice.
    """

    sent: int = 0
    waiting: int = 0
    retrying: int = 0
    failed: int = 0
    left_out: int = 0
    doubtful: int = 0
    twice: int = 0
    per_second: float = 0.0

    @property
    def total(self) -> int:
        return self.sent + self.waiting + self.retrying + self.failed + self.left_out + self.doubtful

    @property
    def open(self) -> int:
        return self.waiting + self.retrying

    @property
    def seconds_left(self) -> int | None:
        """Seconds until those waiting are sent at this pace; None while there is no pace to go by."""
        if not self.waiting:
            return 0
        return round(self.waiting / self.per_second) or 1 if self.per_second > 0 else None


def progress_of(states: Mapping[DeliveryState, int], retrying: int, sent_last_minute: int, seconds: float) -> Progress:
    """Progress from the number of deliveries by state; `retrying` of the pending ones were tried before.

    `seconds` is how much of the last minute the broadcast has been going.
    """
    state = DeliveryState
    count = {each: states.get(each, 0) for each in state}
    return Progress(
        sent=count[state.SENT],
        waiting=count[state.PENDING] - retrying + count[state.SENDING],
        retrying=retrying,
        failed=count[state.FAILED],
        left_out=count[state.SUPPRESSED] + count[state.CANCELLED] + count[state.EXPIRED],
        doubtful=count[state.UNKNOWN],
        per_second=sent_last_minute / max(1.0, min(seconds, 60.0)),
    )
