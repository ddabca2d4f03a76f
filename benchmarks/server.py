"""The same apps behind a real server: CPU time of the uvicorn process per request."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO
from urllib.request import urlopen

from benchmarks.load import PATH, load, tool
from benchmarks.output import count_lines
from benchmarks.part import Size
from benchmarks.ratios import Result, summarise

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
CHECKED = 5  # requests whose log lines are counted
SECONDS_FOR_LINES = 5
TURN_SECONDS = 0.03
SECONDS_TO_START = 120
SERVERS_CORE = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


@dataclass(frozen=True, kw_only=True)
class Service:
    """An app and how it is served.

    Attributes:
        name: What is shown.
        app: The function that makes the app, as ``module:function``.
        uvicorn_log: Whether uvicorn writes its own access lines.
        lines: Log lines for each request.
        needs: Modules without which the figure would mean something else.
        without: Modules that are made to look as if they were not installed.
    """

    name: str
    app: str
    uvicorn_log: bool = False
    lines: int = 1
    needs: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass
class Running:
    """A service in a process of its own, and what it has been measured to need."""

    service: Service
    process: subprocess.Popen[bytes]
    port: int
    output: IO[bytes]
    times_us: list[float] = field(default_factory=list)

    def check(self) -> None:
        """Make sure that what is measured works.

        Raises:
            RuntimeError: It writes more or fewer log lines than it should.
        """
        for _ in range(CHECKED):
            with urlopen(f"http://{HOST}:{self.port}{PATH}", timeout=SECONDS_TO_START) as answer:
                answer.read()
        expected = self.service.lines * CHECKED
        patience = time.monotonic() + SECONDS_FOR_LINES
        while count_lines(self.output) < expected and time.monotonic() < patience:
            time.sleep(0.01)  # a line may be written just after the answer
        written = count_lines(self.output)
        if written != expected:
            raise RuntimeError(
                f"{self.service.name!r} wrote {written} log lines for {CHECKED} requests "
                f"instead of {expected}"
            )
        self.process.send_signal(signal.SIGUSR1)  # count no more: the null device from here
        time.sleep(TURN_SECONDS)
        self.process.send_signal(signal.SIGSTOP)

    def take_turn(self) -> None:
        """Run for a while."""
        self.process.send_signal(signal.SIGCONT)
        time.sleep(TURN_SECONDS)
        self.process.send_signal(signal.SIGSTOP)

    def under_load(self, seconds: int) -> float:
        """µs of the server's CPU per request."""
        before = cpu_seconds(self.process.pid)
        answers = load(HOST, self.port, seconds)
        return (cpu_seconds(self.process.pid) - before) / answers * 1e6


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two services by name, and the largest ratio that we accept."""

    candidate: str
    baseline: str = "bare"
    aim: float | None = None


@dataclass(frozen=True, kw_only=True)
class UnderUvicorn:
    """A part whose services run side by side (see `benchmarks.part.Part`)."""

    name: str
    title: str
    about: str
    services: Sequence[Service]
    comparisons: Sequence[Comparison]

    def measure(self, size: Size) -> list[Result]:
        """Start all services, and put them under load, again and again.

        All at once, but only one of them runs at a time, for 30 ms: what slows the
        machine for a while then slows all alike. In turns of a second, the ratios of the rounds
        were spread ten times as widely on a shared machine; left to share the core by the system,
        in slices of a few milliseconds, each found its caches taken by the others.
        """
        with ExitStack() as processes:
            processes.enter_context(on_core_of_its_own())
            running = [processes.enter_context(started(service)) for service in self.services]
            for one in running:
                one.check()
            threads = processes.enter_context(ThreadPoolExecutor(len(running)))
            for _ in range(size.server_rounds):
                loads = [threads.submit(one.under_load, size.server_seconds) for one in running]
                while not all(loaded.done() for loaded in loads):
                    for one in (*running, *reversed(running)):
                        one.take_turn()
                for one, loaded in zip(running, loads, strict=True):
                    one.times_us.append(loaded.result())
        times = {one.service.name: one.times_us[size.server_warm_up :] for one in running}
        return [
            Result(
                name=wanted.candidate,
                against=wanted.baseline,
                summary=summarise(times[wanted.baseline], times[wanted.candidate]),
                aim=wanted.aim,
            )
            for wanted in self.comparisons
        ]


@contextmanager
def started(service: Service) -> Generator[Running]:
    """The service; it may not be ready, but connections wait for it. Ended at the end."""
    with tempfile.TemporaryFile() as output, socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        order = json.dumps({**asdict(service), "socket": listening.fileno(), "core": SERVERS_CORE})
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serve", order],
            cwd=ROOT,
            stdout=output,
            pass_fds=[listening.fileno()],
        )
        with process:
            listening.close()  # or connections would wait even for a process that failed to start
            try:
                yield Running(service=service, process=process, port=port, output=output)
            finally:
                process.terminate()
                process.send_signal(signal.SIGCONT)


@contextmanager
def on_core_of_its_own() -> Generator[None]:
    """Keep this process, and so the load tool, off the core that the servers take.

    Else the system moves both between the cores, and what a request costs varies by a tenth.
    """
    if not hasattr(os, "sched_setaffinity") or len(cores := os.sched_getaffinity(0)) < 2:
        yield
        return
    os.sched_setaffinity(0, cores - {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, all of its threads, to the nanosecond (POSIX)."""
    clock = ctypes.c_int()
    # /proc/<pid>/stat counts in hundredths of a second, a hundred requests.
    if ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
        raise RuntimeError(f"there is no process {pid} whose CPU time could be read")
    return time.clock_gettime(clock.value)


UVICORN_LOG = "uvicorn's own access log, text"
WHOLE_FAST = "`setup_app`, JSON by orjson"

PART = UnderUvicorn(
    name="server",
    title="Under uvicorn",
    about=(
        "The same route and apps, each served by a uvicorn process and put under load over a few "
        f"connections by {tool()}, in turns of 30 ms; CPU time of the server process."
    ),
    services=(
        Service(name="bare", app="benchmarks.base_route:bare", lines=0),
        Service(name=UVICORN_LOG, app="benchmarks.base_route:bare", uvicorn_log=True),
        Service(name=WHOLE_FAST, app="benchmarks.stack:whole", needs=("orjson",)),
        Service(name="`setup_app`, JSON", app="benchmarks.stack:whole", without=("orjson",)),
        Service(name="popular libraries, JSON", app="benchmarks.peers.popular_libraries:make_app"),
        Service(
            name='four `@app.middleware("http")`, JSON',
            app="benchmarks.handwritten.four_middlewares:make_app",
        ),
    ),
    comparisons=(
        Comparison(candidate=UVICORN_LOG),
        Comparison(candidate=WHOLE_FAST),
        Comparison(candidate="`setup_app`, JSON"),
        Comparison(candidate="popular libraries, JSON"),
        Comparison(candidate='four `@app.middleware("http")`, JSON'),
        Comparison(candidate=WHOLE_FAST, baseline=UVICORN_LOG, aim=1.00),
        Comparison(candidate="`setup_app`, JSON", baseline=UVICORN_LOG),
    ),
)
