"""A thousand open pages of signed-in customers: each holds its stream and follows a bell as the page script does.

Run as `python open_pages.py PORT HOST FILE TITLE`: FILE holds a session cookie a line. Prints `ready COUNT` when all
streams are open, and `done MOMENT` (monotonic clock) when the banner of every page shows the title.
"""

import asyncio
import json
import random
import resource
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

AT_ONCE = 50
"""Pages that are opened at a time."""


class Pages:
    def __init__(self, port: int, host: str, title: str) -> None:
        self.port, self.host, self.title = port, host, title.encode()
        self.opening = asyncio.Semaphore(AT_ONCE)
        self.opened = 0
        self.all_open = asyncio.Event()

    async def get(self, path: str, cookie: str, *headers: str) -> bytes:
        """One request on a connection of its own, as after a pause longer than servers keep one."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"GET {path} HTTP/1.1", f"Host: {self.host}:{self.port}", f"Cookie: sid={cookie}", *headers]
        writer.write("\r\n".join([*lines, "X-Background: 1", "Connection: close", "", ""]).encode())
        answer = await reader.read()
        writer.close()
        return answer

    async def follow(self, cookie: str, total: int) -> None:
        """Open the page's stream, wait for a bell, then fetch the banner until it shows the title."""
        async with self.opening:
            told = json.loads((await self.get("/live-token", cookie)).partition(b"\r\n\r\n")[2])
            address = urlsplit(told["url"])
            reader, writer = await asyncio.open_connection("127.0.0.1", address.port, limit=1 << 16)
            origin = f"Origin: http://{self.host}:{self.port}"
            query = f"GET {address.path}?{address.query} HTTP/1.1\r\nHost: {self.host}\r\n{origin}\r\n\r\n"
            writer.write(query.encode())
            await reader.readuntil(b'"late": false')
        self.opened += 1
        if self.opened == total:
            self.all_open.set()
        while True:
            await reader.readuntil(b'"topic"')
            if not self.all_open.is_set():
                continue
            await asyncio.sleep(random.uniform(0, told["spread"] / 1000))  # noqa: S311  # as the script spreads
            if self.title in await self.get("/banner", cookie, "HX-Request: true"):
                writer.close()
                return


async def main(port: int, host: str, cookies: list[str], title: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    pages = Pages(port, host, title)
    following = [asyncio.create_task(pages.follow(cookie, len(cookies))) for cookie in cookies]
    opened = asyncio.create_task(pages.all_open.wait())
    await asyncio.wait([opened, *following], timeout=120, return_when=asyncio.FIRST_COMPLETED)
    print("ready", pages.opened, flush=True)
    async with asyncio.timeout(60):
        await asyncio.gather(*following)
    print("done", time.monotonic(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_text().split(), sys.argv[4]))
