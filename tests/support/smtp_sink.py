"""An SMTP server that can be told, address by address, to refuse, wait, drop the line or never answer."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from enum import StrEnum
from typing import Self

from tests.support.processes import wait_until

PLAIN_ANSWERS = {"RSET": b"250 2.0.0 Ok\r\n", "NOOP": b"250 2.0.0 Ok\r\n"}


class At(StrEnum):
    """Where in the conversation something happens."""

    CONNECT = "connect"
    EHLO = "ehlo"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"


@dataclass
class Step:
    """What happens instead of the usual answer, for `times` conversations (None: always).

    First it waits `seconds`; then it drops the line if `drop`, never answers if `hang`, else gives `reply`
    (None: the usual answer). At BODY and DOT, `drop` cuts the line before or after the final dot was read. With `drip`
    the answer comes byte by byte, so many seconds apart.
    """

    at: At
    reply: str | None = None
    seconds: float = 0.0
    drop: bool = False
    hang: bool = False
    drip: float = 0.0
    times: int | None = None


@dataclass(frozen=True)
class Received:
    """One message that arrived whole. `is_acknowledged` is False when the line was cut before our 250."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    arrived: float
    connection: int
    is_acknowledged: bool

    @property
    def headers(self) -> Message:
        return BytesHeaderParser().parsebytes(self.content)

    @property
    def message_id(self) -> str:
        return str(self.headers["Message-ID"])


@dataclass
class _Greylist:
    """Refuses an address until so many seconds after it was first tried, by a clock that the test may turn."""

    reply: str
    seconds: float
    clock: Callable[[], float]
    tries: dict[str, list[float]] = field(default_factory=dict)

    def refuses(self, address: str) -> bool:
        tries = self.tries.setdefault(address, [])
        tries.append(self.clock())
        return tries[-1] - tries[0] < self.seconds


class _DroppedError(Exception):
    """The script cuts the line here."""


@dataclass
class _Conversation:
    number: int
    sender: str = ""
    recipients: list[str] = field(default_factory=list)


class SmtpSink:
    """Listens on 127.0.0.1 in a thread of its own. Also a context manager.

    `received` holds every message in the order of arrival, `commands` counts what clients said, `connections` how
    often somebody connected. `is_pipelining` is whether it offers PIPELINING; what comes ahead of an answer
    without that is counted in `ahead`.
    """

    def __init__(self, *, is_pipelining: bool = True, keep_content: bool = True) -> None:
        self.is_pipelining = is_pipelining
        self.keep_content = keep_content
        self.received: list[Received] = []
        self.commands: Counter[str] = Counter()
        self.connections = 0
        self.open_connections = 0
        self.ahead = 0
        self.port = 0
        self._scripts: dict[str, list[Step]] = {}
        self._greylist: _Greylist | None = None
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- what tests say -----------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """As PORTAL_SMTP_URL takes it."""
        return f"smtp://127.0.0.1:{self.port}"

    def script(self, address: str, *steps: Step) -> None:
        """Treat mail to this address so; "*" is for all, and the only one that CONNECT, EHLO and MAIL listen to."""
        with self._lock:
            self._scripts[address.lower()] = list(steps)

    def refuse(self, address: str, reply: str, *, at: At = At.RCPT, times: int | None = None) -> None:
        """Answer this, such as "550 5.1.1 No such user", instead of accepting."""
        self.script(address, Step(at, reply=reply, times=times))

    def greylist(self, seconds: float, clock: Callable[[], float], reply: str) -> dict[str, list[float]]:
        """Refuse every address until so many seconds after its first try; returns when each was tried."""
        self._greylist = _Greylist(reply, seconds, clock)
        return self._greylist.tries

    def forgive(self) -> None:
        """Forget every script: accept all from now on."""
        with self._lock:
            self._scripts.clear()
            self._greylist = None

    def deliveries(self) -> Counter[str]:
        """How often each Message-ID arrived whole, acknowledged or not."""
        return Counter(message.message_id for message in list(self.received))

    def recipients(self) -> Counter[str]:
        """How often each address was delivered to."""
        return Counter(address for message in list(self.received) for address in message.recipients)

    def to(self, address: str) -> list[Received]:
        """The messages that arrived for this address."""
        return [message for message in list(self.received) if address.lower() in message.recipients]

    def wait_for(self, count: int, seconds: float = 15.0) -> None:
        """Wait until at least so many messages have arrived."""
        wait_until(lambda: len(self.received) >= count, seconds, f"the arrival of {count} mails")

    # --- its life -----------------------------------------------------------------------------------------------

    def start(self, port: int = 0) -> None:
        """Listen; on a port of its own unless one is given."""
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(self._loop, port, ready), name="smtp-sink", daemon=True)
        self._thread.start()
        assert ready.wait(5)

    def stop(self) -> None:
        """Cut every line and stop listening; the port stays this sink's, `start(sink.port)` takes it again."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def _run(self, loop: asyncio.AbstractEventLoop, port: int, ready: threading.Event) -> None:
        asyncio.set_event_loop(loop)

        async def listen() -> None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, limit=2**20, backlog=1024)
            self.port = int(self._server.sockets[0].getsockname()[1])

        loop.run_until_complete(listen())
        loop.call_soon(ready.set)
        try:
            loop.run_forever()
        finally:
            if self._server:
                self._server.close()
            for task in tuple(self._tasks):
                task.cancel()
            loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
            loop.close()

    # --- the conversation ---------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open_connections += 1
        conversation = _Conversation(self.connections)
        try:
            await self._converse(conversation, reader, writer)
        except (_DroppedError, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # Cut by the script, by the client, or because the sink stops: nothing to tell.
            pass
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    async def _converse(
        self, conversation: _Conversation, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if not await self._answer(writer, At.CONNECT, ["*"], "220 sink ESMTP"):
            return
        while line := await reader.readline():
            verb, _, argument = line.decode("utf-8", "replace").strip().partition(" ")
            self.commands[verb.upper()] += 1
            if not self.is_pipelining and reader._buffer:  # type: ignore[attr-defined]
                self.ahead += 1
            if verb.upper() == "QUIT":
                writer.write(b"221 2.0.0 Bye\r\n")
                await writer.drain()
                return
            await self._obey(conversation, verb.upper(), argument, reader=reader, writer=writer)

    async def _obey(
        self,
        conversation: _Conversation,
        verb: str,
        argument: str,
        *,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if verb in {"EHLO", "HELO"}:
            await self._answer(writer, At.EHLO, ["*"], self._offers(verb))
        elif verb == "MAIL":
            conversation.sender, conversation.recipients = _address(argument), []
            await self._answer(writer, At.MAIL, ["*"], "250 2.1.0 Ok")
        elif verb == "RCPT":
            address = _address(argument)
            if (greylist := self._greylist) and greylist.refuses(address):
                writer.write(f"{greylist.reply}\r\n".encode())
            elif await self._answer(writer, At.RCPT, [address, "*"], "250 2.1.5 Ok"):
                conversation.recipients.append(address)
        elif verb == "DATA":
            await self._take_data(conversation, reader, writer)
        else:
            if verb == "RSET":
                conversation.sender, conversation.recipients = "", []
            writer.write(PLAIN_ANSWERS.get(verb, b"502 5.5.2 Not known here\r\n"))
        await writer.drain()

    def _offers(self, verb: str) -> str:
        if verb == "HELO":
            return "250 sink"
        names = ["8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", *(["PIPELINING"] if self.is_pipelining else [])]
        return "\r\n".join(["250-sink", *(f"250-{name}" for name in names[:-1]), f"250 {names[-1]}"])

    async def _take_data(
        self, conversation: _Conversation, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        concerned = [*conversation.recipients, "*"]
        if not conversation.recipients:
            writer.write(b"554 5.5.1 No valid recipients\r\n")
            return
        if not await self._answer(writer, At.DATA, concerned, "354 Go ahead"):
            return
        await self._happen(At.BODY, concerned)
        raw = await _body(reader)
        step = self._take_step(At.DOT, concerned)
        is_accepted = step is None or step.reply is None or step.reply.startswith("2")
        if is_accepted:
            cut = step is not None and (step.drop or step.hang)
            self._store(conversation, raw, is_acknowledged=not cut)
        conversation.sender, conversation.recipients = "", []
        await self._do(step)
        await self._say(writer, step.reply if step and step.reply else "250 2.0.0 Queued", step)

    def _store(self, conversation: _Conversation, raw: bytes, *, is_acknowledged: bool) -> None:
        content = raw if self.keep_content else raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        self.received.append(
            Received(
                conversation.sender,
                tuple(conversation.recipients),
                content,
                time.monotonic(),
                conversation.number,
                is_acknowledged,
            )
        )

    async def _answer(self, writer: asyncio.StreamWriter, at: At, concerned: Iterable[str], usual: str) -> bool:
        """Give the scripted answer or the usual one; whether it was a yes."""
        step = self._take_step(at, concerned)
        await self._do(step)
        said = step.reply if step and step.reply else usual
        await self._say(writer, said, step)
        return said[0] in "23"

    async def _say(self, writer: asyncio.StreamWriter, text: str, step: Step | None) -> None:
        line = f"{text}\r\n".encode()
        size = 1 if step and step.drip else len(line)
        for start in range(0, len(line), size):
            writer.write(line[start : start + size])
            await writer.drain()
            if step and step.drip:
                await asyncio.sleep(step.drip)

    async def _happen(self, at: At, concerned: Iterable[str]) -> None:
        await self._do(self._take_step(at, concerned))

    async def _do(self, step: Step | None) -> None:
        if step is None:
            return
        await asyncio.sleep(step.seconds)
        if step.hang:
            await asyncio.Event().wait()
        if step.drop:
            raise _DroppedError

    def _take_step(self, at: At, concerned: Iterable[str]) -> Step | None:
        """The step that applies here, counted down."""
        with self._lock:
            for address in concerned:
                for step in self._scripts.get(address.lower(), ()):
                    if step.at is at and step.times != 0:
                        if step.times is not None:
                            step.times -= 1
                        return step
        return None


async def _body(reader: asyncio.StreamReader) -> bytes:
    """The message up to its final dot, dot-stuffing undone."""
    lines: list[bytes] = []
    while True:
        line = await reader.readline()
        if not line:
            raise ConnectionError
        if line == b".\r\n":
            return b"".join(lines)
        lines.append(line[1:] if line.startswith(b".") else line)


def _address(argument: str) -> str:
    """The address in `FROM:<a@b> SIZE=1` or `TO:<a@b>`, in lower case."""
    with suppress(IndexError):
        return argument.split("<", 1)[1].split(">", 1)[0].lower()
    return ""
