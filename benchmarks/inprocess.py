"""Apps driven without a server: each pair in processes of its own, by `benchmarks.drive`."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contest import Comparison, Contest, Contestant, measure
from benchmarks.part import Size
from benchmarks.ratios import Result


@dataclass(frozen=True, kw_only=True)
class Case:
    """An app, and the app that it is compared with.

    Attributes:
        name: What is shown.
        candidate: The function that makes the app, as ``module:function``. It sets up logging as a
            service would; a bare app beside it in the same process logs nothing.
        baseline: The function that makes the app to compare with.
        against: What is shown for it.
        method: Of the request that both get.
        path: Of that request.
        lines: Lines that the candidate writes to standard output for a request: one that writes
            none would look cheap.
        needs: Modules without which the figure would mean something else.
        without: Modules that are made to look as if they were not installed.
        aim: The largest ratio that we accept.
    """

    name: str
    candidate: str
    baseline: str = "benchmarks.base_route:bare"
    against: str = "bare"
    method: str = "GET"
    path: str = "/items/1"
    lines: int = 0
    needs: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    aim: float | None = None


@dataclass(frozen=True, kw_only=True)
class InProcess:
    """A part whose cases are pairs of apps (see `benchmarks.part.Part`)."""

    name: str
    title: str
    about: str
    cases: Sequence[Case]

    def measure(self, size: Size) -> list[Result]:
        """Launch every case as often as the size says, and compare over all launches."""
        return measure([contest_of(case) for case in self.cases], size)


def contest_of(case: Case) -> Contest:
    """The contest of the two apps."""
    return Contest(
        contestants={
            case.against: Contestant(make=case.baseline, method=case.method, path=case.path),
            case.name: Contestant(
                make=case.candidate, method=case.method, path=case.path, lines=case.lines
            ),
        },
        comparisons=[Comparison(candidate=case.name, baseline=case.against, aim=case.aim)],
        needs=case.needs,
        without=case.without,
    )
