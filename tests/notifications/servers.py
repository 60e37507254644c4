"""Real SMTP servers with certificates and passwords, for tests that need what the scripted one has not."""

import asyncio
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.in_thread import in_thread

DAY = timedelta(days=1)


class Certificate(NamedTuple):
    """The files of a key and of the certificate it signed itself; who names the second as an authority trusts it."""

    key: Path
    certificate: Path

    def context(self) -> ssl.SSLContext:
        """What a server that bears it needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def certificate_for(
    folder: Path, name: str = "localhost", *, since: timedelta = -DAY, until: timedelta = DAY
) -> Certificate:
    """A certificate for one name, valid between these distances from now."""
    now, key = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    found = Certificate(folder / "key.pem", folder / "certificate.pem")
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    found.key.write_bytes(key.private_bytes(*plain))
    found.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return found


class Inbox:
    """What a server received, and how people signed in there."""

    def __init__(self) -> None:
        self.received: list[Envelope] = []
        self.mechanisms: set[str] = set()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.received.append(envelope)
        return "250 2.0.0 Ok"

    def check_login(self, _server: SMTP, _session: Session, _envelope: Envelope, how: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.mechanisms.add(how)
        return AuthResult(success=(given.login, given.password) == (b"me", b"right"), handled=False)


@contextmanager
def serving(
    inbox: Inbox, context: ssl.SSLContext | None, *, implicit: bool = False, without: Iterable[str] = ()
) -> Iterator[int]:
    """aiosmtpd on a free port, with TLS from the first byte or on request, and a password; yields the port.

    `without` are ways of signing in that it does not offer. Without a context it is spoken to in plain.
    """
    tls: dict[str, Any] = {} if implicit or context is None else {"tls_context": context, "require_starttls": True}
    # What TLS wraps from the first byte on, aiosmtpd takes for plain, so it must not insist.
    options = {
        "auth_required": True,
        "auth_require_tls": bool(tls),
        "authenticator": inbox.check_login,
        "auth_exclude_mechanism": list(without),
        **tls,
    }

    async def start() -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            lambda: SMTP(inbox, **options), "127.0.0.1", 0, ssl=context if implicit else None
        )

    with in_thread(start) as port:
        yield port
