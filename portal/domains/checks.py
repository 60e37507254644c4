"""Asking a name of a portal domain whether it leads to this installation: the network part, without the database."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from portal import outside
from portal.config import Settings
from portal.domains.rules import DEFAULT_PORTS
from portal.domains.rules.hosts import CHECK_PATH, Finding, check_key, find
from portal.outside import BadCertificate, NotPublic, OutsideError, Refused, Unresolved

SECONDS = 5.0
"""How long asking a name may take, looking it up included."""


class Found(NamedTuple):
    """What asking found, with the details in words for staff, and until when its certificate is valid."""

    finding: Finding
    detail: str
    certificate_until: datetime | None


def ask_host(host: str, base_url: str, settings: Settings, lookup: outside.Lookup | None = None) -> Found:
    """Ask a name, by scheme and port of its domain's address. Takes SECONDS twice at most, and raises nothing.

    Addresses that are not public are asked only where this installation's own address leads to them too: an
    installation inside a company can check its names, and nobody can look around in its network with this.
    """
    nonce = secrets.token_urlsafe(24)
    parts = urlsplit(base_url)
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    url = f"{parts.scheme}://{host}:{port}{CHECK_PATH}{nonce}"
    own = urlsplit(settings.base_url)
    ours: Sequence[outside.Address] = ()
    with suppress(OutsideError):
        ours = (lookup or outside.look_up)(own.hostname or "", own.port or DEFAULT_PORTS[own.scheme], SECONDS)
    ports = outside.PORTS | {own.port or DEFAULT_PORTS[own.scheme]}
    try:
        answer = outside.ask(url, ports=ports, allowed=ours, seconds=SECONDS, most_bytes=1_000, lookup=lookup)
    except OutsideError as trouble:
        return Found(_finding_of(trouble), str(trouble), None)
    body = answer.body.decode("utf-8", "replace") if answer.status == 200 else ""
    others = (settings.staff_host.partition(":")[0], urlsplit(base_url).hostname or "", answer.address, "localhost", "")
    finding = find(body, check_key(settings.secret_key), nonce, host, others)
    return Found(finding, _detail(finding, host, answer), answer.certificate_until)


def _finding_of(trouble: OutsideError) -> Finding:
    if isinstance(trouble, Unresolved):
        return Finding.UNRESOLVED
    if isinstance(trouble, BadCertificate):
        return Finding.CERTIFICATE
    return Finding.NOT_PUBLIC if isinstance(trouble, NotPublic | Refused) else Finding.UNREACHABLE


def _detail(finding: Finding, host: str, answer: outside.Answer) -> str:
    if finding is Finding.REACHES_US:
        return f"{host} leads here, through {answer.address}."
    if finding is Finding.HIDDEN_NAME:
        return (
            f"{host} leads here, but a proxy on the way asks for another name. Have it pass the Host header on: "
            "as it is, customers are refused."
        )
    where = f"Its address {answer.address} is answered by something else"
    if 300 <= answer.status < 400:
        return f"{where}, which sends visitors on with {answer.status}."
    return f"{where} ({answer.status})."
