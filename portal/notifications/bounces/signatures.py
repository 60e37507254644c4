"""Whether a request was made by who knows our secret, and just now: the signatures of Standard Webhooks, pure.

Source: standardwebhooks.com, specification 1.0.0: HMAC-SHA256 over `id.timestamp.body`, base64, headers `webhook-*`.
"""

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

TOLERANCE_SECONDS = 300
"""How far the clock of the sender may be off, and how long a request can be sent again."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_MOST_SIGNATURES = 10


class Malformed(ValueError):  # noqa: N818 (it is what the request is)
    """A header is missing or is not what it should be; the sentence says which."""


class Forged(ValueError):  # noqa: N818
    """Signed by nobody we know, or too long ago."""


def verify(secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """The id of a request that one of the secrets signed within five minutes; Malformed or Forged.

    The names of the headers are in lower case.
    """
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split()
    if not _ID.fullmatch(message_id):
        raise Malformed("The header webhook-id is missing or has other characters than letters, digits, - and _.")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise Malformed("The header webhook-timestamp is missing or is no number of seconds since 1970.")
    if not given or len(given) > _MOST_SIGNATURES:
        raise Malformed("The header webhook-signature is missing or holds too many signatures.")
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        raise Forged("It was signed more than five minutes ago, or the clocks differ.")
    signatures = [sign(secret, message_id, timestamp, body) for secret in secrets]
    # Every pair is compared, so that the time it takes says nothing.
    matches = [
        hmac.compare_digest(one.encode(), each.encode("utf-8", "replace")) for one in signatures for each in given
    ]
    if not any(matches):
        raise Forged("No signature is of a secret of this installation.")
    return message_id


def sign(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """The signature of a request, `v1,` and base64."""
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode("ascii")
