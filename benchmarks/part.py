"""What a part of the benchmarks is to the command that runs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from benchmarks.ratios import Measured

Results = Sequence[Measured]


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured.

    Attributes:
        launches: Fresh processes for each case; memory layout and hash seeds differ by process.
        rounds: Pairs of measurements in each of them.
        requests: Requests to each of the two apps in one round.
        server_rounds: Times that the servers are put under load.
        server_warm_up: How many of these, the first ones, do not count.
        server_seconds: How long, each time.
        rows: Of large tables.
        seconds: How long each set of log-ins is kept up.
        clients: That log in at once, at most.
        at_once: Processes that measure at the same time; more than one spoils the figures.
    """

    launches: int
    rounds: int
    requests: int
    server_rounds: int
    server_warm_up: int
    server_seconds: int
    at_once: int = 1
    rows: int = 1_000_000
    seconds: float = 6
    clients: int = 100


FULL = Size(
    launches=5, rounds=20, requests=240, server_rounds=41, server_warm_up=1, server_seconds=6
)
SMOKE = Size(
    launches=1,
    rounds=1,
    requests=12,
    server_rounds=1,
    server_warm_up=0,
    server_seconds=1,
    at_once=2,
    rows=2_000,
    seconds=0.2,
    clients=2,
)  # shows that everything runs; its figures mean nothing


class Part(Protocol):
    """A set of measurements with a name of its own."""

    @property
    def name(self) -> str:
        """The word on the command line and of the files in results/."""
        ...

    @property
    def title(self) -> str:
        """The heading over its table."""
        ...

    @property
    def about(self) -> str:
        """One or two sentences under the heading: what is measured and how."""
        ...

    def measure(self, size: Size) -> Results:
        """Do it."""
        ...


@runtime_checkable
class Plotted(Protocol):
    """A part that draws its results as well."""

    def plots(self, results: Results) -> Mapping[str, str]:
        """SVG by the name of its file."""
        ...
