"""The SMTP side of the mail catcher."""

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from portal import clock
from portal.cli.catcher.box import Box

MOST_BYTES_A_MAIL = 20_000_000


class Handler:
    """Keeps every message and says so."""

    def __init__(self, box: Box) -> None:
        self.box = box

    async def handle_EHLO(  # noqa: N802 (the name aiosmtpd calls)
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer PIPELINING too: the server reads line by line, whatever came ahead."""
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        caught = self.box.add(envelope.mail_from or "", list(envelope.rcpt_tos), content, clock.utcnow())
        return f"250 2.0.0 Caught as {caught.number}"


def listen(box: Box, host: str, port: int) -> Controller:
    """Start listening, in a thread of its own; `stop()` on what is returned ends it."""
    controller = Controller(
        Handler(box),
        hostname=host,
        port=port,
        server_hostname="catcher",
        ident="Signalbox mail catcher",
        enable_SMTPUTF8=True,
        data_size_limit=MOST_BYTES_A_MAIL,
    )
    controller.start()
    return controller
