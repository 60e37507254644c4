"""The yardstick of the hub: the least an asyncio process can do to pass a message on.

No HTTP beyond one fixed answer, no token, no topic: one connection to Redis, and every client is written to.
Run as `python bare_hub.py PORT REDIS_SOCKET`.
"""

import asyncio
import resource
import sys
from typing import ClassVar

CHANNEL = b"portal:live"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: keep-alive\r\n\r\n:\n\n"


class Stream(asyncio.Protocol):
    clients: ClassVar[set[asyncio.Transport]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self.transport.write(HEAD)
            self.clients.add(self.transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.clients.discard(self.transport)


async def read_value(reader: asyncio.StreamReader) -> object:
    """One value of the Redis protocol, as far as subscriptions need it."""
    line = (await reader.readline()).rstrip()
    if not line:
        raise EOFError
    kind, rest = line[:1], line[1:]
    if kind == b"*":
        return [await read_value(reader) for _ in range(int(rest))]
    if kind == b"$":
        return (await reader.readexactly(int(rest) + 2))[:-2]
    return rest


async def main(port: int, redis_socket: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    reader, writer = await asyncio.open_unix_connection(redis_socket)
    writer.write(b"SUBSCRIBE %s\r\n" % CHANNEL)
    await asyncio.get_running_loop().create_server(Stream, "127.0.0.1", port, backlog=8192)
    while True:
        message = await read_value(reader)
        if isinstance(message, list) and message[0] == b"message":
            for client in Stream.clients:
                client.write(b"data: %s\n\n" % message[2])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
