"""A real IMAP server of the test's own, and a door of TLS before it."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

from imap_tools import MailBoxUnencrypted

from tests.support.in_thread import in_thread
from tests.support.processes import Server, free_port

USER, PASSWORD = "bounces@mail.portal.test", "p/w: d%"


class ImapServer(Server):
    """pymap on a free port with one mailbox in its memory; with a certificate it offers STARTTLS."""

    def __init__(self, folder: Path, *, key: Path | None = None, certificate: Path | None = None) -> None:
        super().__init__(folder / "imap.log")
        self.port = free_port()
        self._box: MailBoxUnencrypted | None = None
        self.tls = ["--key", str(key), "--cert", str(certificate)] if key else ["--no-tls"]

    def command(self) -> Sequence[str | Path]:
        server = Path(sys.executable).parent / "pymap"
        backend = ["dict", "--demo-user", USER, "--demo-password", PASSWORD]
        return [server, "--host", "127.0.0.1", "--port", str(self.port), *self.tls, *backend]

    def is_ready(self) -> bool:
        with suppress(OSError), MailBoxUnencrypted("127.0.0.1", self.port, timeout=5):
            return True
        return False

    def url(self, scheme: str = "imap", *, host: str = "127.0.0.1", port: int = 0, password: str = PASSWORD) -> str:
        """The address of its mailbox, as PORTAL_BOUNCE_IMAP_URL wants it."""
        return f"{scheme}://{quote(USER, safe='')}:{quote(password, safe='')}@{host}:{port or self.port}/INBOX"

    @contextmanager
    def mailbox(self, folder: str = "INBOX") -> Iterator[MailBoxUnencrypted]:
        """The mailbox as its owner's mail program sees it, which stays signed in: each login costs half a second."""
        if self._box is None:
            self._box = MailBoxUnencrypted("127.0.0.1", self.port, timeout=30).login(USER, PASSWORD, None)
        self._box.folder.set(folder)
        yield self._box
        self._box.folder.set("INBOX")

    def bring(self, *mails: bytes) -> None:
        """Have mails arrive."""
        with self.mailbox() as box:
            for mail in mails:
                box.append(mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), "INBOX")

    def count(self, folder: str = "INBOX") -> int:
        """Mails in a folder; 0 where there is none."""
        with self.mailbox() as box:
            return box.folder.status(folder)["MESSAGES"] if box.folder.exists(folder) else 0

    def empty(self) -> None:
        """Take every mail out of every folder."""
        for folder in ("INBOX", "Processed", "Unclear"):
            if self.count(folder):
                with self.mailbox(folder) as box:
                    box.delete(box.uids())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._box is not None:
            self._box.client.shutdown()
        self.kill()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate of "localhost" that nobody vouches for."""
    key, found = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key), "-out", str(found)]
    subprocess.run(["openssl", "req", *options, *subject], check=True, capture_output=True)
    return key, found


@contextmanager
def behind_tls(port: int, key: Path, certificate: Path) -> Iterator[int]:
    """A port that speaks TLS from the first byte on and hands everything to another port of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    with in_thread(lambda: asyncio.start_server(serve_one, "127.0.0.1", 0, ssl=context)) as served:
        yield served
