"""Several apps or functions that take turns in a process of their own, by `benchmarks.drive`."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks import databases
from benchmarks.part import Size
from benchmarks.ratios import Clock, Result, summarise

ROOT = Path(__file__).parent.parent
TURNS = 12  # of each in a round, so that a hiccup of the machine rarely meets only one of them


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """What is measured.

    Attributes:
        make: The function that makes the app, as ``module:function``, or gives what is to be
            called: a function, an async one, or an async context manager of one.
        method: Of the request that the app gets.
        path: Of that request, with its query.
        cursor_in: The member of the answer with the cursor of the next page, which is then asked
            for instead; ``None`` asks for the path itself.
        items: How many items the answer must have.
        lines: Lines that it writes to standard output for a request: one that writes none would
            look cheap.
        package: The package without which it is left out.
    """

    make: str
    method: str = "GET"
    path: str = "/items/1"
    cursor_in: str | None = None
    items: int | None = None
    lines: int = 0
    package: str | None = None

    @property
    def is_there(self) -> bool:
        """Whether its package is installed."""
        return self.package is None or find_spec(self.package) is not None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two contestants by name, and the largest ratio that we accept."""

    candidate: str
    baseline: str
    aim: float | None = None


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Who takes part, and what is compared.

    Attributes:
        table: The heading of its table.
        contestants: By the name that is shown.
        comparisons: What is told of it.
        clock: ``cpu`` counts CPU time of this process, ``wall`` the time that passes, a database
            server's work included.
        requests: To each in one round, at most; a `part.Size` may want fewer, of the next two too.
        rounds: In each launch.
        launches: Fresh processes; memory layout and hash seeds differ by process.
        database: URL for the apps (`benchmarks.databases.url`).
        needs: Modules without which the figures would mean something else.
        without: Modules that are made to look as if they were not installed.
    """

    contestants: Mapping[str, Contestant]
    comparisons: Sequence[Comparison]
    table: str = ""
    clock: Clock = "cpu"
    requests: int = 240
    rounds: int = 20
    launches: int = 5
    database: str | None = None
    needs: Sequence[str] = ()
    without: Sequence[str] = ()

    def present(self) -> dict[str, Contestant]:
        """The contestants whose packages are installed; the others are named on standard error."""
        found = {name: one for name, one in self.contestants.items() if one.is_there}
        for name, one in self.contestants.items():
            if name not in found:
                print(f"Left out: {name}; {one.package} is not installed.", file=sys.stderr)
        return found


Times = Mapping[str, Sequence[float]]
"""µs per request in each round, by contestant."""


def measure(contests: Sequence[Contest], size: Size) -> list[Result]:
    """Launch each contest as often as the size says, and compare over all launches."""
    # A launch of each, then the next of each: a machine that slows down slows all alike.
    runs = [
        contest
        for number in range(size.launches)
        for contest in contests
        if number < contest.launches
    ]
    with ThreadPoolExecutor(size.at_once) as pool:
        times = list(pool.map(partial(launch, size=size), runs))
    return [
        result
        for contest in contests
        for result in compared(
            contest, [time for run, time in zip(runs, times, strict=True) if run is contest]
        )
    ]


def launch(contest: Contest, size: Size) -> Times:
    """Measure in a fresh process."""
    taking_part = contest.present()
    requests = min(contest.requests, size.requests)
    order = {
        "contestants": [asdict(one) for one in taking_part.values()],
        "clock": contest.clock,
        "needs": contest.needs,
        "without": contest.without,
        "rounds": min(contest.rounds, size.rounds),
        "requests": requests,
        "warm_up": requests,
        "turns": TURNS,
    }
    environment = dict(os.environ)
    if contest.database is not None:
        environment[databases.VARIABLE] = contest.database
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.drive", json.dumps(order)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        names = ", ".join(taking_part)
        raise RuntimeError(f"{names} could not be measured; the error stands above")
    return dict(zip(taking_part, json.loads(done.stdout), strict=True))


def compared(contest: Contest, launches: Sequence[Times]) -> list[Result]:
    """The results of a contest over all its launches."""
    times = {name: [time for launch in launches for time in launch[name]] for name in launches[0]}
    return [
        Result(
            name=wanted.candidate,
            against=wanted.baseline,
            summary=summarise(times[wanted.baseline], times[wanted.candidate]),
            aim=wanted.aim,
            table=contest.table,
            clock=contest.clock,
        )
        for wanted in contest.comparisons
        if wanted.baseline in times and wanted.candidate in times
    ]
