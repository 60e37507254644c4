"""The guarded sender: everything this installation asks of an address that somebody typed goes through here.

What is refused and why stands in reliability-security, section 5 ("SSRF guard"): other schemes and ports, addresses
that are not public, in whatever way they are written. The name is looked up first, and the connection goes to the
address that was checked, so a name cannot change its mind in between. No redirects are followed, no proxy settings
and no stored passwords are read, the certificate is verified against the name, and all of it has one deadline.
"""

import contextlib
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str, int, float], Sequence[Address]]
"""Finds the addresses of a name and port within so many seconds, or raises Unresolved."""

PORTS = frozenset({80, 443})
SECONDS = 5.0
MOST_BYTES = 65_536
"""Bytes of an answer that are read; one with more is refused."""

AGENT = "Signalbox"

_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4",
        "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "5f00::/16", "fc00::/7", "fec0::/10",
    )
)  # fmt: skip
"""Ranges Python calls global, or may come to: its own word was found not to be enough."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LOOKS_LIKE_A_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\#]")


class OutsideError(Exception):
    """It could not be asked, or did not answer; the message is a sentence for staff."""


class Refused(OutsideError):  # noqa: N818 (it says what happened, as those in errors.py do)
    """This address is not asked at all."""


class NotPublic(Refused):
    """The name leads to an address that is not of the public internet."""


class Unresolved(OutsideError):  # noqa: N818 (it says what happened, as those in errors.py do)
    """The name has no address."""


class BadCertificate(OutsideError):  # noqa: N818 (it says what happened, as those in errors.py do)
    """Who answers there cannot show to be the name it was asked by."""


class Unreachable(OutsideError):  # noqa: N818 (it says what happened, as those in errors.py do)
    """Nobody answers there, or not in time, or not in HTTP.

    `was_asked` says that the question was on its way, so that whatever it asks for may have been done.
    """

    def __init__(self, sentence: str, *, was_asked: bool = False) -> None:
        super().__init__(sentence)
        self.was_asked = was_asked


@dataclass(frozen=True)
class Allowed:
    """The addresses that may be asked although they are not public: those of networks an installation names."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address):
            return False
        return any(address.version == network.version and address in network for network in self.networks)


@dataclass(frozen=True)
class Target:
    """An address as it is asked: checked in its text, not yet looked up. `path` begins with a slash, query included."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def named_host(self) -> str:
        """The host as the Host header names it: with its port where that is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _port_of(self.scheme) else f"{host}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """What came back, whole. `headers` are in lower case; `certificate_until` is None without TLS."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    address: str
    certificate_until: datetime | None


def target_of(url: str, *, ports: Collection[int] = PORTS, allowed: Container[Address] = ()) -> Target:
    """The address, if it may be asked as far as its text says; raises Refused with a sentence, for saving a form.

    `ports` are those that may be asked, `allowed` addresses that may be although they are not public.
    """
    if not url.isascii() or _FORBIDDEN.search(url):
        raise Refused("The address has characters that belong in no address. Write international names as xn--.")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise Refused("That is not an address of the web.") from None
    if parts.scheme not in {"http", "https"}:
        raise Refused("The address must begin with https:// or http://.")
    if "@" in parts.netloc:
        raise Refused("The address must not hold a name or password.")
    literal = _literal(host)
    if literal is None:
        _check_name(host)
    port = _port_of(parts.scheme) if port is None else port
    if port not in ports:
        raise Refused(f"Port {port} is not asked. The port must be {_listed(ports)}.")
    known = [literal] if literal is not None else _loopback() if _is_local_name(host) else []
    if known:
        _check_addresses(host, known, allowed)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path)


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    ports: Collection[int] = PORTS,
    allowed: Container[Address] = (),
    seconds: float = SECONDS,
    most_bytes: int = MOST_BYTES,
    cut_short: bool = False,
    lookup: Lookup | None = None,
) -> Answer:
    """Ask this address once and return what it answers, a redirect as it is.

    Raises Refused or NotPublic where it may not be asked, Unresolved, BadCertificate or Unreachable where asking
    fails. `seconds` are for all of it together. An answer of more than `most_bytes` is refused, or, with `cut_short`,
    told as far as it was read. Reads and writes no database; never call it inside a transaction.
    """
    target = target_of(url, ports=ports, allowed=allowed)
    ends_at = time.monotonic() + seconds
    addresses = (lookup or look_up)(target.host, target.port, seconds)
    _check_addresses(target.host, addresses, allowed)
    fixed = {"Host": target.named_host, "User-Agent": AGENT, "Accept-Encoding": "identity"}
    named = {**fixed, **(headers or {}), "Connection": "close"}
    question = _Question(target, method, named, body, ends_at, most_bytes, cut_short)
    trouble: OutsideError = Unreachable(f"{target.host} has no address that could be asked.")
    for address in addresses:
        try:
            return _ask_at(address, question)
        except Unreachable as failure:
            trouble = failure
            if time.monotonic() >= ends_at or method not in {"GET", "HEAD"}:
                break
    raise trouble


def look_up(host: str, port: int, seconds: float) -> Sequence[Address]:
    """The addresses of a name. The system's resolver knows no deadline, so it is left behind when ours has passed.

    `localhost` and what ends in it is this machine, as browsers have it (RFC 6761, 6.3), whatever a resolver says.
    """
    literal = _literal(host)
    if literal is not None:
        return [literal]
    if _is_local_name(host):
        return _loopback()
    found: list[Address] = []
    is_done = threading.Event()

    def resolve() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                found.append(ipaddress.ip_address(str(place[0]).partition("%")[0]))
        is_done.set()

    threading.Thread(target=resolve, daemon=True).start()
    if not is_done.wait(seconds):
        raise Unresolved(f"Looking up {host} took longer than {seconds:g} seconds.")
    if not found:
        raise Unresolved(f"{host} does not resolve: there is no A or AAAA record for it.")
    return list(dict.fromkeys(found))


def is_public(address: Address) -> bool:
    """Whether the address is of the public internet; one that carries another inside is what that is."""
    inner = _carried(address)
    if inner is not None:
        return is_public(inner)
    in_range = any(address.version == network.version and address in network for network in _NOT_PUBLIC)
    return address.is_global and not address.is_multicast and not in_range


def _carried(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside an IPv6 one: mapped, NAT64, 6to4."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _check_addresses(host: str, addresses: Sequence[Address], allowed: Container[Address]) -> None:
    """All of them must be public: one that is not would be asked as soon as the others are down."""
    for address in addresses:
        if address not in allowed and not is_public(address):
            shown = f"{address}" if str(address) == host else f"{host} leads to {address}, which"
            raise NotPublic(f"{shown} is not an address of the public internet, so it is not asked.")


def _check_name(host: str) -> None:
    """A name of the DNS; what some resolvers would read as a number (127.1, 0x7f000001) is none."""
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label.replace("_", "-")) for label in labels):
        raise Refused("The address has no host name that could be looked up.")
    if _LOOKS_LIKE_A_NUMBER.fullmatch(labels[-1]):
        raise Refused("The address has a number for a host. Write the name.")


def _literal(host: str) -> Address | None:
    """The address, where one is written the one usual way."""
    try:
        return ipaddress.ip_address(host) if "%" not in host else None
    except ValueError:
        return None


def _is_local_name(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _loopback() -> list[Address]:
    return [ipaddress.IPv4Address("127.0.0.1")]


def _port_of(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _listed(ports: Collection[int]) -> str:
    *first, last = sorted(ports)
    return f"{', '.join(map(str, first))} or {last}" if first else str(last)


@dataclass(frozen=True)
class _Question:
    """One request as every address of its host is sent it."""

    target: Target
    method: str
    headers: Mapping[str, str]
    body: bytes | None
    ends_at: float
    most_bytes: int
    cut_short: bool

    @property
    def seconds_left(self) -> float:
        return max(0.01, self.ends_at - time.monotonic())


def _ask_at(address: Address, question: _Question) -> Answer:
    host = question.target.host
    connection = _Connection(address, question)
    # Time-outs of a socket are for one piece each; what drips is cut off by this.
    watchdog = threading.Timer(question.seconds_left, connection.cut)
    watchdog.daemon = True
    watchdog.start()
    was_asked = False
    try:
        connection.connect()
        was_asked = True
        connection.request(question.method, question.target.path, question.body, question.headers)
        response = connection.getresponse()
        content = response.read(question.most_bytes + 1)
        if len(content) > question.most_bytes and not question.cut_short:
            raise Unreachable(f"{host} answers with more than {question.most_bytes:,} bytes.", was_asked=True)
        content = content[: question.most_bytes]
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, content, str(address), connection.certificate_until)
    except ssl.SSLCertVerificationError as failure:
        raise BadCertificate(_about_certificate(host, failure)) from None
    except (OSError, http.client.HTTPException, ValueError) as failure:
        is_late = time.monotonic() >= question.ends_at
        raise Unreachable(_about_silence(question.target, failure, is_late=is_late), was_asked=was_asked) from None
    finally:
        watchdog.cancel()
        connection.close()


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was checked, in the name of the host it was looked up for."""

    def __init__(self, address: Address, question: _Question) -> None:
        super().__init__(question.target.host, question.target.port)
        self._address = address
        self._question = question
        self._raw: socket.socket | None = None
        self.certificate_until: datetime | None = None

    def connect(self) -> None:
        """To the checked address, and with TLS only to who can show to be the name."""
        target, left = self._question.target, self._question.seconds_left
        self._raw = self.sock = socket.create_connection((str(self._address), target.port), timeout=left)
        if target.scheme == "https":
            self._raw = self.sock = ssl.create_default_context().wrap_socket(self._raw, server_hostname=target.host)
            shown = cast(Mapping[str, str], self.sock.getpeercert() or {})
            if ends := shown.get("notAfter"):
                self.certificate_until = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)

    def cut(self) -> None:
        """End it from another thread, whatever it waits for."""
        if self._raw is not None:
            with contextlib.suppress(OSError):
                self._raw.shutdown(socket.SHUT_RDWR)


def _about_certificate(host: str, failure: ssl.SSLCertVerificationError) -> str:
    reason = {
        10: "has ended",
        9: "is not valid yet",
        18: "was signed by the server itself",
        19: "was signed by nobody this installation trusts",
        20: "was signed by nobody this installation trusts, or its chain is not complete",
        62: f"is for another name than {host}",
        64: f"is for another address than {host}",
    }.get(failure.verify_code)
    return f"The certificate {reason}." if reason else f"The certificate is not accepted: {failure.verify_message}."


def _about_silence(target: Target, failure: Exception, *, is_late: bool) -> str:
    place = f"{target.host} on port {target.port}"
    if is_late or isinstance(failure, TimeoutError):
        return f"{place} does not answer in time."
    if isinstance(failure, ConnectionRefusedError):
        return f"Nothing listens at {place}."
    if isinstance(failure, ssl.SSLError):
        return f"{place} does not speak TLS as it should."
    if isinstance(failure, http.client.HTTPException):
        return f"What {place} answers is not HTTP."
    return f"{place} cannot be reached."
