"""The hub that rings open pages: one small asyncio application, one Redis subscription, no database, no cookie.

`GET /live?token=…` is a stream of server-sent events. What travels is a bell, `{"topic": …, "version": …}`, and
never content: the page then asks the ordinary, authorised route. The token says which topics the page may hear,
from which origin, and until when; the web application signs it (`sign_token`), the hub only checks it.

Beside bells the stream carries `state` events, `{"late": …}`: true while Redis does not answer, so that the page
polls meanwhile; and one `end` event with the reason when the hub closes it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import time
import types
from collections.abc import Awaitable, Callable, Generator, Iterable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from itsdangerous import BadSignature, URLSafeSerializer

if TYPE_CHECKING:
    from portal.config import Settings

log = logging.getLogger(__name__)

CHANNEL = "portal:live"
"""The one Redis channel; a message is {"topic": str, "version": int}."""

TOKEN_LIFE = 600
"""Seconds a token lives, and a stream with it; the page then fetches a new one."""

MAX_TOPICS = 400
"""Topics of one token at most; who has more polls for the rest."""

MAX_CLIENTS = 20_000
"""Open streams of one hub at most; whoever comes after them is told 503 and polls."""

MAX_TOKEN_LENGTH = 8_000
"""Characters; no token of ours comes near, and nothing longer is worth a look."""

HEARTBEAT = 20.0
"""Seconds between comments on a quiet stream, below the idle time-outs of proxies."""

STUCK_AFTER = 30.0
"""Seconds a client may leave one write unread before it is dropped; it will come back and catch up."""

REPLAY = 15.0
"""Seconds for which a bell is repeated to newcomers, so that nothing is missed between a page and its stream."""

REDIS_PATIENCE = 5.0
"""Seconds of silence after which Redis is asked whether it is there, and given again to answer."""

REDIS_PAUSE = 0.5
"""Seconds between two attempts to reach Redis."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Token:
    """What one page may hear. `ends` is the topic whose bell closes the stream, "" for a page without a session."""

    topics: tuple[str, ...]
    origin: str
    ends: str
    expires_at: int


def sign_token(settings: Settings, topics: Iterable[str], *, origin: str, ends: str, now: float) -> str:
    """A token for these topics (the first MAX_TOPICS of them), valid for TOKEN_LIFE seconds from `now`."""
    payload = [list(topics)[:MAX_TOPICS], origin, ends, int(now) + TOKEN_LIFE]
    return str(_serializer(settings).dumps(payload))


def read_token(settings: Settings, text: str, now: float) -> Token | None:
    """The token, unless it is forged, malformed or past its time."""
    if not text or len(text) > MAX_TOKEN_LENGTH:
        return None
    try:
        topics, origin, ends, expires_at = _serializer(settings).loads(text)
    except (BadSignature, ValueError, TypeError):
        return None
    return Token(tuple(topics), origin, ends, expires_at) if now < expires_at else None


def _serializer(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer([*settings.secret_key_fallbacks, settings.secret_key], salt="portal.live.token")


class Chunk(NamedTuple):
    """Something for many streams: the text, and the same as a chunk of HTTP/1.1, made once for all of them."""

    body: bytes
    framed: bytes

    @classmethod
    def of(cls, *, event: str = "", **data: Any) -> Chunk:
        """A server-sent event; without a name it is a bell."""
        name = f"event: {event}\n" if event else ""
        return cls.plain(f"{name}data: {json.dumps(data)}\n\n".encode())

    @classmethod
    def plain(cls, body: bytes) -> Chunk:
        return cls(body, b"%x\r\n%s\r\n" % (len(body), body))


HEARTBEAT_COMMENT = Chunk.plain(b":\n\n")


class Straight(NamedTuple):
    """The connection under a stream, where the server shows it: what needs no waiting is written straight to it."""

    transport: asyncio.Transport
    flow: Any


class Client:
    """One open stream. What it has not read yet is one bell a topic, so a slow reader can never fill the memory."""

    __slots__ = ("done", "is_closing", "is_stuck_since", "pending", "send", "straight", "token", "writer", "wrote_at")

    def __init__(self, token: Token, send: Send, straight: Straight | None, done: asyncio.Future[None]) -> None:
        self.token = token
        self.send = send
        self.straight = straight
        self.pending: dict[str, Chunk] = {}
        self.writer: asyncio.Task[None] | None = None
        self.is_stuck_since = 0.0
        self.wrote_at = time.monotonic()
        self.done = done
        self.is_closing = False


class Hub:
    """The ASGI application. `settings` gives the keys of tokens and the address of Redis."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.is_late = True
        self._listeners: dict[str, dict[Client, None]] = {}
        self._clients: dict[Client, None] = {}
        self._recent: dict[str, tuple[float, Chunk]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._is_down = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] != "http":
            return
        elif scope["path"] == "/live" and scope["method"] == "GET":
            await self._stream(scope, receive, send)
        elif scope["path"] == "/healthz" and scope["method"] in {"GET", "HEAD"}:
            body = json.dumps({"status": "late" if self.is_late else "ok", "clients": len(self._clients)}).encode()
            await _answer(
                send, 200, body if scope["method"] == "GET" else b"", [(b"content-type", b"application/json")]
            )
        else:
            await _answer(send, 404, b"")

    async def start(self) -> None:
        """Subscribe to Redis and begin to look after the streams."""
        self._is_down = False
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._look_after())]

    async def stop(self) -> None:
        """End every stream (the pages come back to whoever serves next) and let go of Redis."""
        self._is_down = True
        for client in list(self._clients):
            self._end(client, "restart")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def ring(self, topic: str, version: int) -> None:
        """Pass one bell on to whoever may hear it."""
        bell = Chunk.of(topic=topic, version=version)
        self._recent.pop(topic, None)
        self._recent[topic] = (time.monotonic(), bell)
        for client in self._listeners.get(topic, ()):
            if client.token.ends == topic:
                self._end(client, "session")
            else:
                self._give(client, topic, bell)

    def _health(self) -> bytes:
        return json.dumps({"status": "late" if self.is_late else "ok", "clients": len(self._clients)}).encode()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = read_token(self.settings, _query(scope, "token"), time.time())
        if token is None:
            await _answer(send, 401, b"")
            return
        if not _comes_from(scope, token.origin):
            await _answer(send, 403, b"")
            return
        cross_origin = [(b"access-control-allow-origin", token.origin.encode()), (b"vary", b"Origin")]
        if self._is_down or len(self._clients) >= MAX_CLIENTS:
            await _answer(send, 503, b"", [(b"retry-after", b"15"), *cross_origin])
            return
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
            (b"x-content-type-options", b"nosniff"),
            *cross_origin,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        straight = scope.get("straight") if scope["http_version"] == "1.1" else None
        await self._serve(token, receive, send, straight)

    async def _serve(self, token: Token, receive: Receive, send: Send, straight: Straight | None) -> None:
        loop = asyncio.get_running_loop()
        client = Client(token, send, straight, loop.create_future())
        gone = loop.create_task(_until_gone(receive, client.done))
        self._welcome(client)
        try:
            await client.done
            if client.writer is None:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._forget(client)
            gone.cancel()
            if client.writer:
                client.writer.cancel()

    def _welcome(self, client: Client) -> None:
        self._clients[client] = None
        for topic in (*client.token.topics, client.token.ends):
            if topic:
                self._listeners.setdefault(topic, {})[client] = None
        self._give(client, "", self._state())
        for topic in client.token.topics:
            if topic in self._recent:
                self._give(client, topic, self._recent[topic][1])
        if client.token.ends in self._recent:
            self._end(client, "session")

    def _forget(self, client: Client) -> None:
        self._clients.pop(client, None)
        for topic in (*client.token.topics, client.token.ends):
            heard_by = self._listeners.get(topic)
            if heard_by is not None:
                heard_by.pop(client, None)
                if not heard_by:
                    del self._listeners[topic]

    def _state(self) -> Chunk:
        return Chunk.of(event="state", late=self.is_late)

    def _give(self, client: Client, key: str, chunk: Chunk) -> None:
        """Write a chunk, or keep it while the client is busy; a newer one replaces a kept one of the same key."""
        if client.is_closing:
            return
        if client.writer is None:
            self._write(client, chunk)
        else:
            client.pending[key] = chunk

    def _end(self, client: Client, reason: str) -> None:
        """Say goodbye and close; the page knows by the reason whether to come back at once."""
        if not client.is_closing:
            self._give(client, "", Chunk.of(event="end", reason=reason))
            client.is_closing = True
            if client.writer is None:
                _set_done(client.done)

    def _write(self, client: Client, chunk: Chunk) -> None:
        """Write at once, and make a task only for a client that has to be waited for.

        The server nearly always takes a write without waiting. A task for each of thousands of clients, and what a
        server does for each message, would cost several times what the write itself does: so a connection with room
        is written to straight, and otherwise the first step of the server's `send` is taken here.
        """
        client.wrote_at = time.monotonic()
        if client.straight and not client.straight.flow.write_paused:
            client.straight.transport.write(chunk.framed)
            return
        try:
            sending = client.send({"type": "http.response.body", "body": chunk.body, "more_body": True}).__await__()
            waits_for = next(sending)
        except StopIteration:
            return
        except Exception:  # whatever the server raises for a connection that went away while it was written to
            log.debug("a stream broke", exc_info=True)
            _set_done(client.done)
            return
        client.is_stuck_since = client.wrote_at
        client.writer = asyncio.get_running_loop().create_task(self._write_on(client, sending, waits_for))

    async def _write_on(self, client: Client, sending: Any, waits_for: Any) -> None:
        """Finish a write that has to wait, then write what came in meanwhile."""
        try:
            await _rest(sending, waits_for)
            while client.pending:
                body = b"".join(chunk.body for chunk in client.pending.values())
                client.pending.clear()
                client.is_stuck_since = time.monotonic()
                await client.send({"type": "http.response.body", "body": body, "more_body": True})
        except Exception:  # as above
            log.debug("a stream broke", exc_info=True)
            _set_done(client.done)
        finally:
            client.writer = None
        if client.is_closing:
            _set_done(client.done)

    async def _look_after(self) -> None:
        """Once a second: every stream, and the bells that nobody needs repeated any more."""
        while True:
            await asyncio.sleep(1)
            now, clock = time.monotonic(), time.time()
            for client in list(self._clients):
                self._look_at(client, now, clock)
            while self._recent and next(iter(self._recent.values()))[0] < now - REPLAY:
                del self._recent[next(iter(self._recent))]

    def _look_at(self, client: Client, now: float, clock: float) -> None:
        """A heartbeat where it is due; the end for a token that ran out and for a reader that stopped reading."""
        if client.writer:
            if now - client.is_stuck_since > STUCK_AFTER:
                _set_done(client.done)
        elif clock >= client.token.expires_at:
            self._end(client, "expired")
        elif now - client.wrote_at > HEARTBEAT:
            self._give(client, "", HEARTBEAT_COMMENT)

    async def _listen(self) -> None:
        """The one subscription. Comes back by itself whatever happens to Redis, and tells the pages meanwhile."""
        from redis.asyncio import Redis  # noqa: PLC0415  # nobody who only signs tokens needs it
        from redis.exceptions import RedisError  # noqa: PLC0415

        while True:
            redis = Redis.from_url(
                self.settings.redis_url, socket_connect_timeout=REDIS_PATIENCE, socket_timeout=REDIS_PATIENCE
            )
            try:
                async with redis.pubsub() as subscription:
                    await subscription.subscribe(CHANNEL)
                    await self._relay(subscription)
            except (RedisError, OSError, TimeoutError) as error:
                if not self.is_late:
                    log.warning("Redis does not answer (%s); pages poll until it does", type(error).__name__)
            finally:
                self._set_late(True)
                await redis.aclose()
            await asyncio.sleep(REDIS_PAUSE)

    async def _relay(self, subscription: Any) -> None:
        """Pass messages on until Redis leaves one question unanswered; raises TimeoutError then."""
        asked = False
        while True:
            message = await subscription.get_message(timeout=REDIS_PATIENCE)
            if message is None:
                if asked:
                    raise TimeoutError
                await subscription.ping()
                asked = True
                continue
            asked = False
            self._set_late(False)
            if message["type"] == "message":
                bell = _bell_in(message["data"])
                if bell:
                    self.ring(*bell)

    def _set_late(self, is_late: bool) -> None:
        if is_late != self.is_late:
            self.is_late = is_late
            for client in list(self._clients):
                self._give(client, "", self._state())


def create_hub(settings: Settings) -> Hub:
    """The hub as an ASGI application; `lifespan` starts its subscription."""
    return Hub(settings)


def serve(settings: Settings, host: str, port: int) -> None:
    """Run the hub until SIGTERM or SIGINT: open streams are ended first, so that stopping does not wait for them."""
    import uvicorn  # noqa: PLC0415  # the web workers import this module for its tokens and need no server
    from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415

    hub = create_hub(settings)

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: Any = None) -> None:
            await hub.stop()
            await super().shutdown(sockets)

    class Connection(H11Protocol):
        """Shows the hub the connection under the stream."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            straight = Straight(transport, self.flow)

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await hub({**scope, "straight": straight}, receive, send)

            self.app = app

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, MAX_CLIENTS + 1_000)), hard))
    config = uvicorn.Config(
        hub,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=4096,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        http=Connection,
        loop="asyncio",
        ws="none",
    )
    Server(config).run()


@types.coroutine
def _rest(step: Generator[Any, None, None], waits_for: Any) -> Generator[Any, None, None]:
    """What is left of an awaitable after its first step, which waits for this future."""
    yield waits_for
    yield from step


async def _until_gone(receive: Receive, done: asyncio.Future[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    _set_done(done)


def _set_done(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


async def _answer(send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    every = [(b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": body})


def _query(scope: Scope, name: str) -> str:
    values = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=10).get(name, [])
    return values[0] if len(values) == 1 else ""


def _comes_from(scope: Scope, origin: str) -> bool:
    """Whether the page that asks is of this origin. A page of the hub's own origin sends no Origin header."""
    headers = dict(scope["headers"])
    if b"origin" in headers:
        return bool(headers[b"origin"] == origin.encode())
    return headers.get(b"sec-fetch-site", b"same-origin") in {b"same-origin", b"none"}


def _bell_in(data: bytes) -> tuple[str, int] | None:
    """The topic and version of a message; None for what is no bell, such as another program's message."""
    try:
        message = json.loads(data)
        topic, version = message["topic"], message["version"]
    except (ValueError, KeyError, TypeError):
        return None
    return (topic, version) if isinstance(topic, str) and isinstance(version, int) else None
