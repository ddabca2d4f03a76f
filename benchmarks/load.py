"""Puts a server under load: by wrk where it is installed, else by a client of our own.

``python -m benchmarks.load HOST PORT SECONDS`` is that client; it prints how many answers it got.
"""

import asyncio
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

CONNECTIONS = 8
ROOT = Path(__file__).parent.parent
PATH = "/items/1"
REQUEST = (
    f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: benchmarks\r\nAccept: */*\r\n\r\n"
).encode()
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def tool() -> str:
    """What makes the load, as results name it."""
    return "wrk" if shutil.which("wrk") else "our own client"


def load(host: str, port: int, seconds: int) -> int:
    """Send requests over a few connections that stay open, as fast as they are answered.

    Returns:
        How many answers came.

    Raises:
        RuntimeError: An answer was an error, or a connection broke.
    """
    return by_wrk(host, port, seconds) if shutil.which("wrk") else by_client(host, port, seconds)


def by_wrk(host: str, port: int, seconds: int) -> int:
    headers = ("-H", "User-Agent: benchmarks", "-H", "Accept: */*")
    url = f"http://{host}:{port}{PATH}"
    command = ("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *headers, url)
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    answers = re.search(r"(\d+) requests in", said)
    if answers is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"wrk met errors: {said}")
    return int(answers[1])


def by_client(host: str, port: int, seconds: int) -> int:
    command = (sys.executable, "-m", "benchmarks.load", host, str(port), str(seconds))
    return int(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


async def answers_within(host: str, port: int, seconds: int) -> int:
    until = time.monotonic() + seconds
    each = [answers_on_one(host, port, until) for _ in range(CONNECTIONS)]
    return sum(await asyncio.gather(*each))


async def answers_on_one(host: str, port: int, until: float) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    count = 0
    while time.monotonic() < until:
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        length = CONTENT_LENGTH.search(head)
        if length is None or not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"unexpected answer: {head!r}")
        await reader.readexactly(int(length[1]))
        count += 1
    writer.close()
    await writer.wait_closed()
    return count


if __name__ == "__main__":
    to_host, to_port, for_seconds = sys.argv[1:]
    print(asyncio.run(answers_within(to_host, int(to_port), int(for_seconds))))
