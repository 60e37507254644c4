"""S01, S02, S04, S05, S08: what this installation asks of addresses that somebody typed, and what it never does."""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portal.outside import (
    Address,
    Answer,
    BadCertificate,
    NotPublic,
    OutsideError,
    Refused,
    Unreachable,
    Unresolved,
    ask,
    is_public,
    look_up,
    target_of,
)

HERE = ipaddress.ip_address("127.0.0.1")
PUBLIC = ipaddress.ip_address("93.184.216.34")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Name: yes\r\n\r\nhello"
SECONDS = 20.0
"""A time-out with room for a loaded machine; nothing here takes a tenth of it."""


class Server:
    """Answers every connection with the same bytes and remembers what it was asked."""

    def __init__(self, answer: bytes | Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> None:
        self.asked: list[bytes] = []
        self._answer, self._context = answer, context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection:
                talk = self._context.wrap_socket(connection, server_side=True) if self._context else connection
                with contextlib.suppress(OSError), talk:
                    self.asked.append(talk.recv(65_536))
                    if callable(self._answer):
                        self._answer(talk)
                    else:
                        talk.sendall(self._answer)

    def close(self) -> None:
        self._socket.close()


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that end with the test."""
    servers: list[Server] = []

    def started(answer: bytes | Callable[[socket.socket], None] = OK, context: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(answer, context))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


def ask_here(
    server: Server, path: str = "/", scheme: str = "http", host: str = "it.localhost", **options: object
) -> Answer:
    """Ask a server of this test, as one that is allowed although its address is not public."""
    values: dict[str, object] = {"allowed": [HERE], "ports": {server.port}, "seconds": SECONDS, **options}
    return ask(f"{scheme}://{host}:{server.port}{path}", **values)  # type: ignore[arg-type]


def leads_to(*addresses: str) -> Callable[[str, int, float], Sequence[Address]]:
    return lambda _host, _port, _seconds: [ipaddress.ip_address(each) for each in addresses]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1",
     "①②⑦.0.0.1", "[::1]", "[::]", "0.0.0.0", "0",  # noqa: S104 (that is what is refused)
     "127.0.0.1.", "1.2.3.0x7f", "[::ffff:127.0.0.1]"],
)  # fmt: skip
def test_s01_this_machine_is_refused_however_it_is_written(host: str) -> None:
    """At save, by the text alone, and at send."""
    for scheme in ("http", "https"):
        with pytest.raises(Refused):
            target_of(f"{scheme}://{host}/hook")
        with pytest.raises(Refused):
            ask(f"{scheme}://{host}/hook")


BAD_ADDRESSES = [
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.254",
    "192.0.0.8", "192.0.0.170", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "127.9.9.9", "0.1.2.3", "192.88.99.1", "::ffff:10.0.0.1", "::ffff:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::1",
    "2001:db8::1", "fec0::1", "fc00::1", "fd12::1", "fe80::1", "ff02::1", "::", "::1", "::7f00:1", "100::1",
]  # fmt: skip


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_s02_what_is_not_public_is_refused_as_literal_and_as_answer_of_the_dns(address: str) -> None:
    parsed = ipaddress.ip_address(address)
    assert not is_public(parsed)
    shown = f"[{address}]" if parsed.version == 6 else address
    with pytest.raises(NotPublic):
        target_of(f"https://{shown}/")
    with pytest.raises(NotPublic):
        ask("https://hooks.example.com/", lookup=leads_to(address))
    with pytest.raises(NotPublic):
        ask("https://hooks.example.com/", lookup=leads_to("93.184.216.34", address))


def test_s02_an_address_of_a_zone_is_no_address() -> None:
    with pytest.raises(Refused):
        target_of("http://[fe80::1%25lo]/")


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
)
def test_s02_what_is_public_may_be_asked(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_s02_the_address_that_was_checked_is_the_one_that_is_asked(serve: Serve) -> None:
    """A name that changes its mind after it was looked up changes nothing: it is not looked up twice."""
    server, asked = serve(), []

    def once(host: str, _port: int, _seconds: float) -> Sequence[Address]:
        asked.append(host)
        return [HERE] if len(asked) == 1 else [PUBLIC]

    answer = ask_here(server, host="rebound.example.com", lookup=once)
    assert (answer.status, answer.address, asked) == (200, "127.0.0.1", ["rebound.example.com"])
    assert f"Host: rebound.example.com:{server.port}\r\n".encode() in server.asked[0]


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:6379/", "file:///etc/passwd", "gopher://127.0.0.1/_x", "https://it.localhost/again"]
)
def test_s04_a_redirect_is_an_answer_and_is_not_followed(serve: Serve, location: str) -> None:
    server = serve(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
    answer = ask_here(server)
    assert (answer.status, answer.headers["location"]) == (302, location)
    assert len(server.asked) == 1


def test_s08_what_a_redirect_leads_to_is_told_no_secret(serve: Serve) -> None:
    elsewhere = serve()
    location = f"http://other.localhost:{elsewhere.port}/"
    server = serve(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
    answer = ask_here(server, headers={"Authorization": "Bearer CANARY"}, ports={server.port, elsewhere.port})
    assert answer.status == 302
    assert b"CANARY" in server.asked[0]
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://example.com/", "gopher://example.com/", "dict://example.com/", "unix:/run/x",
     "//example.com/", "example.com", "javascript:alert(1)", "", "http://", "https:///path",
     "http://example.com:25/", "http://example.com:6379/", "http://example.com:5432/", "https://example.com:22/",
     "http://example.com:99999/", "http://example.com:0/", "http://a@127.0.0.1/", "http://user:pass@example.com/",
     "http://evil#@127.0.0.1/", "http://example.com/#part", "http://example.com\\@127.0.0.1/", "http:\\\\example.com",
     "http://exam\tple.com/", "http://example.com/\n", " http://example.com/", "http://example.com/a b",
     "http://bücher.example/", "http://-a.example/", "http://a..example/", "http://" + "a" * 64 + ".example/"],
)  # fmt: skip
def test_s05_other_schemes_ports_and_misleading_addresses_are_refused(url: str) -> None:
    for refuse in (target_of, ask):
        with pytest.raises(Refused) as refusal:
            refuse(url)
        assert str(refusal.value).endswith(".")


def test_s05_a_usual_address_is_read_as_it_was_written() -> None:
    target = target_of("https://Hooks.Example.com/a?b=c")
    assert (target.scheme, target.host, target.port, target.path) == ("https", "hooks.example.com", 443, "/a?b=c")
    assert target.named_host == "hooks.example.com"
    assert target_of("http://example.com:8080", ports={8080}).named_host == "example.com:8080"


def test_nothing_of_the_environment_is_used(serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no stored password."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine it.localhost login a password b")
    monkeypatch.setenv("HOME", str(tmp_path))
    server = serve()
    answer = ask_here(server, "/x?y=1", method="POST", body=b"{}", headers={"X-Own": "1"})
    assert (answer.status, answer.body, answer.headers["x-name"]) == (200, b"hello", "yes")
    head = server.asked[0].decode().lower()
    assert head.startswith("post /x?y=1 http/1.1\r\n")
    assert "x-own: 1" in head
    assert "authorization" not in head
    assert "cookie" not in head


def test_an_answer_without_end_is_cut_off(serve: Serve) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 5_000)
    with pytest.raises(Unreachable, match="more than 1,000 bytes"):
        ask_here(server, most_bytes=1_000)


def test_what_drips_is_cut_off_at_the_deadline(serve: Serve) -> None:
    """Every byte comes in time, all of them together do not."""

    def drip(talk: socket.socket) -> None:
        for _ in range(1_000):
            talk.sendall(b"H")
            time.sleep(0.05)

    begun = time.monotonic()
    with pytest.raises(Unreachable, match="in time"):
        ask_here(serve(drip), seconds=0.5)
    assert time.monotonic() - begun < SECONDS


def test_a_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: is_over.wait(SECONDS) and [])
    begun = time.monotonic()
    with pytest.raises(Unresolved, match="longer than"):
        look_up("slow.example.com", 443, 0.1)
    is_over.set()
    assert time.monotonic() - begun < SECONDS / 2


def test_each_failure_is_a_sentence(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Unreachable, match="Nothing listens"):
        ask(f"http://it.localhost:{port}/", allowed=[HERE], ports={port})
    with pytest.raises(Unreachable, match="not HTTP"):
        ask_here(serve(b"220 mail.example ESMTP\r\n"))
    with pytest.raises(Unreachable, match="TLS"):
        ask_here(serve(), scheme="https")
    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(Unresolved, match="does not resolve"):
        ask("https://nobody.example.com/")
    assert issubclass(Unresolved, OutsideError)


# Certificates.


class Authority:
    """A certificate authority of this test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        certificate = self._signed(self.name, self.key.public_key(), None, timedelta(days=30), is_authority=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def context_for(self, name: str, lasts: timedelta = timedelta(days=20)) -> ssl.SSLContext:
        """What a server of this name shows; a negative `lasts` has ended already."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(subject, key.public_key(), name, lasts)
        file = self.folder / "server.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        name: str | None,
        lasts: timedelta,
        *,
        is_authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + lasts)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if name:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority this process trusts, as an installation inside a company trusts its own."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


def test_a_certificate_is_held_against_the_name_and_its_end_is_told(serve: Serve, authority: Authority) -> None:
    server = serve(context=authority.context_for("it.localhost"))
    answer = ask_here(server, scheme="https")
    assert answer.status == 200
    assert answer.certificate_until is not None
    assert timedelta(days=19) < answer.certificate_until - datetime.now(UTC) < timedelta(days=20, minutes=1)
    with pytest.raises(BadCertificate, match="for another name than"):
        ask_here(server, scheme="https", host="that.localhost")


def test_a_certificate_that_has_ended_is_refused_in_words(serve: Serve, authority: Authority) -> None:
    server = serve(context=authority.context_for("it.localhost", lasts=-timedelta(days=1)))
    with pytest.raises(BadCertificate, match="has ended"):
        ask_here(server, scheme="https")


def test_a_certificate_nobody_vouches_for_is_refused(
    serve: Serve, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    server = serve(context=authority.context_for("it.localhost"))
    with pytest.raises(BadCertificate, match="nobody this installation trusts"):
        ask_here(server, scheme="https")
