"""An asyncio server of a test, in a thread and a loop of its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

PATIENCE = 30
"""Seconds it may take to begin or to end."""


@contextmanager
def in_thread(start: Callable[[], Awaitable[asyncio.Server]]) -> Iterator[int]:
    """Start a server and yield its port; at the end it is closed, with every conversation that is still open."""
    loop = asyncio.new_event_loop()
    ports: list[int] = []
    ready, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        server = await start()
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await over.wait()
        server.close()
        others = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(PATIENCE)
        loop.close()
