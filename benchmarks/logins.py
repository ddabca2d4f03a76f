"""Many log-ins at once under a real server: what others wait meanwhile, how many get in, memory."""

import asyncio
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlencode

from benchmarks.accounts import PASSWORD
from benchmarks.part import Size
from benchmarks.server import HOST, Running, Service, started

ROUNDS = 3
PROBES_EVERY = 0.02  # seconds
SECONDS_TO_ANSWER = 120
FORM = urlencode({"username": "user1@example.com", "password": PASSWORD, "grant_type": "password"})


@dataclass
class Round:
    """What one round of log-ins showed."""

    waited: list[float] = field(default_factory=list)
    """Seconds that each probe of ``/livez`` waited."""
    log_ins: int = 0
    seconds: float = 0
    peak_mib: float | None = None
    """Memory of the server beyond what it had at rest; ``None`` where the system does not tell."""

    @property
    def p99(self) -> float:
        """Seconds that all but one of a hundred probes waited at most."""
        return quantiles(self.waited, n=100, method="inclusive")[98]

    @property
    def per_second(self) -> float:
        """Log-ins."""
        return self.log_ins / self.seconds


async def answered(port: int, request: bytes) -> None:
    """Send one request on a connection of its own.

    Raises:
        RuntimeError: It is not answered by 200.
    """
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        said = await asyncio.wait_for(reader.read(), SECONDS_TO_ANSWER)
        if not said.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"unexpected answer: {said[:200]!r}")
    finally:
        writer.close()


def request(method: str, path: str, body: str = "") -> bytes:
    head = [
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}",
        "Connection: close",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", body]).encode()


async def keep_logging_in(port: int, path: str, until: float, found: Round) -> None:
    wanted = request("POST", path, FORM)
    while time.monotonic() < until:
        await answered(port, wanted)
        found.log_ins += 1


async def probe(port: int, found: Round) -> None:
    start = time.perf_counter()
    await answered(port, request("GET", "/livez"))
    found.waited.append(time.perf_counter() - start)


async def probe_regularly(port: int, until: float, found: Round) -> None:
    """Also while earlier probes still wait: clients do not wait for one another."""
    async with asyncio.TaskGroup() as probes:
        while time.monotonic() < until:
            probes.create_task(probe(port, found))
            await asyncio.sleep(PROBES_EVERY)


async def one_round(running: Running, path: str, clients: int, seconds: float) -> Round:
    """So many clients log in again and again for so long."""
    found = Round()
    await answered(running.port, request("POST", path, FORM))
    reset_peak(running.process.pid)
    at_rest = memory_mib(running.process.pid, "VmRSS")
    start = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(clients):
            tasks.create_task(keep_logging_in(running.port, path, start + seconds, found))
        tasks.create_task(probe_regularly(running.port, start + seconds, found))
    found.seconds = time.monotonic() - start
    peak = memory_mib(running.process.pid, "VmHWM")
    if peak is not None and at_rest is not None:
        found.peak_mib = peak - at_rest
    return found


def memory_mib(pid: int | str, figure: str) -> float | None:
    """``VmRSS`` or its peak, ``VmHWM``, of a process; ``None`` where the system does not tell."""
    try:
        told = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    kib = re.search(rf"^{figure}:\s*(\d+) kB$", told, re.MULTILINE)
    return None if kib is None else int(kib[1]) / 1024


def reset_peak(pid: int | str) -> None:
    """Let ``VmHWM`` start from now (Linux)."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return


@dataclass(frozen=True, kw_only=True)
class LogIn:
    """An app that is logged in to.

    Attributes:
        name: What is shown.
        app: The function that makes it, as ``module:function``.
        path: Of its token route.
        clients: That log in at once.
    """

    name: str
    app: str
    path: str = "/auth/token"
    clients: int = 20


def measure(log_ins: Sequence[LogIn], size: Size) -> dict[str, list[Round]]:
    """One after the other, again and again; each in a new process, with a peak of its own."""
    runs = [
        one
        for number in range(min(ROUNDS, size.rounds))
        for one in (log_ins if number % 2 == 0 else reversed(log_ins))
    ]
    with ThreadPoolExecutor(size.at_once) as pool:
        rounds = list(pool.map(partial(in_new_process, size=size), runs))
    return {
        one.name: [told for run, told in zip(runs, rounds, strict=True) if run is one]
        for one in log_ins
    }


def in_new_process(log_in: LogIn, size: Size) -> Round:
    """One round with a server of its own."""
    clients = min(log_in.clients, size.clients)
    with started(Service(name=log_in.name, app=log_in.app)) as running:
        return asyncio.run(one_round(running, log_in.path, clients, size.seconds))
