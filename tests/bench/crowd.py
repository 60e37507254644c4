"""Thousands of open pages in one process: opens streams, and tells when the last of them has heard a bell.

Run as `python crowd.py PORT FILE CLIENTS`: FILE holds one request (lines parted by |) a line, used in turn. Prints
`ready COUNT`; then for every line `topic count` read from standard input prints `set`, waits for that many streams to
carry a bell of this topic, and prints the moment (monotonic clock) the last of them did. It reads with bare epoll, so
that what it costs itself hides as little as possible of what is measured.
"""

import json
import resource
import select
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 60.0
"""Seconds until a crowd that hears nothing gives up."""


def arriving(epoll: select.epoll, streams: dict[int, socket.socket]) -> Iterator[tuple[int, bytes]]:
    """What the streams bring, until nothing comes any more."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for number, _ in epoll.poll(1.0):
            data = streams[number].recv(65_536)
            if not data:
                raise SystemExit("a stream was closed")
            yield number, data
    raise SystemExit("nothing came")


def open_all(port: int, requests: list[bytes], clients: int, epoll: select.epoll) -> dict[int, socket.socket]:
    """Open the streams and wait until each has been answered."""
    streams: dict[int, socket.socket] = {}
    for number in range(clients):
        stream = socket.create_connection(("127.0.0.1", port), PATIENCE)
        stream.sendall(requests[number % len(requests)])
        streams[stream.fileno()] = stream
        epoll.register(stream.fileno(), select.EPOLLIN)
    waiting = set(streams)
    for number, data in arriving(epoll, streams):
        if number in waiting and not data.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"refused: {data[:200]!r}")
        waiting.discard(number)
        if not waiting:
            break
    return streams


def main(port: int, requests: list[bytes], clients: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    epoll = select.epoll()
    streams = open_all(port, requests, clients, epoll)
    print("ready", len(streams), flush=True)
    for line in sys.stdin:
        topic, count = line.split()
        wanted, left = json.dumps({"topic": topic})[1:-1].encode(), int(count)
        print("set", flush=True)
        for _, data in arriving(epoll, streams):
            left -= wanted in data
            if not left:
                break
        print(time.monotonic(), flush=True)


if __name__ == "__main__":
    lines = Path(sys.argv[2]).read_text().splitlines()
    main(int(sys.argv[1]), [(line.replace("|", "\r\n") + "\r\n\r\n").encode() for line in lines], int(sys.argv[3]))
