"""Reports in forms of their own (qmail, old Exchange, providers): recognised by flufl.bounce, judged by our rules."""

import logging
import re
from email import message_from_bytes, policy

from portal.notifications.bounces.rules import Said, one_line, within_bounds

READ_AT_MOST = 32 * 1024
"""Bytes the recognisers see: each goes over all lines, and what they look for comes first."""

_TELLING = re.compile(r"(?<![\d.])#?[45]\.\d{1,2}\.\d{1,3}(?![\d.])|(?<![\d.])[45]\d\d(?![\d.])[ -]")

# They tell of every recogniser they try, and print the whole trace of one that fails, which is ours to handle.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)


def recognised(raw: bytes, text: str) -> tuple[Said, ...]:
    """Of whom such a report says what; nothing for what is no report, or none that anybody knows.

    `text` is its first readable part, in which the server's words are looked for.
    """
    from flufl.bounce import all_failures

    message = message_from_bytes(within_bounds(raw)[:READ_AT_MOST], policy=policy.compat32)
    try:
        passing, lasting = all_failures(message)
    except Exception:
        # Fifteen recognisers of old formats, given what strangers send: one that stumbles has recognised nothing.
        return ()
    words = next((one_line(line) for line in text.splitlines() if _TELLING.search(line)), "")[:500]
    return tuple(
        Said(frozenset({address.decode("utf-8", "replace").strip().lower()}), action, "", words)
        for action, addresses in (("failed", lasting), ("delayed", passing))
        for address in sorted(addresses)[:50]
    )
