"""Names of portal domains: what asking one of them can find, and what of an address it leads to."""

import hashlib
import hmac
from enum import StrEnum

CHECK_PATH = "/.well-known/signalbox-check/"
"""Where every installation answers whatever name it is asked by; a nonce follows."""

HOSTS_AT_MOST = 20
"""Names a portal domain may have, its main one among them."""


class Finding(StrEnum):
    """What asking a name found."""

    REACHES_US = "reaches_us"
    HIDDEN_NAME = "hidden_name"
    ELSEWHERE = "elsewhere"
    UNRESOLVED = "unresolved"
    NOT_PUBLIC = "not_public"
    CERTIFICATE = "certificate"
    UNREACHABLE = "unreachable"


def check_key(secret: str) -> bytes:
    """The key of the answers, made from the installation's secret for this purpose alone."""
    return hmac.new(secret.encode(), b"signalbox portal host check", hashlib.sha256).digest()


def check_answer(key: bytes, nonce: str, host: str) -> str:
    """What the installation with this key answers to a nonce, having been asked by this name. Hexadecimal."""
    return hmac.new(key, f"{nonce}\n{host}".encode(), hashlib.sha256).hexdigest()


def find(body: str, key: bytes, nonce: str, host: str, other_names: tuple[str, ...]) -> Finding:
    """What an answer says: ours under this name, ours but asked by another one (a proxy hides it), or not ours."""
    given = body.strip()
    if hmac.compare_digest(given.encode("utf-8", "replace"), check_answer(key, nonce, host).encode()):
        return Finding.REACHES_US
    if any(given == check_answer(key, nonce, other) for other in other_names):
        return Finding.HIDDEN_NAME
    return Finding.ELSEWHERE
