"""Times of two things, taken pairwise, as a ratio with its spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Literal

Clock = Literal["cpu", "wall"]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Medians over all rounds; times are microseconds per request."""

    baseline_us: float
    candidate_us: float
    added_us: float
    ratio: float
    lower_quartile: float
    upper_quartile: float
    rounds: int


def summarise(baseline_us: Sequence[float], candidate_us: Sequence[float]) -> Summary:
    """Compare round by round.

    What disturbs the machine disturbs both times of a round, so the median of the rounds' ratios
    is steadier than the ratio of the medians.

    Args:
        baseline_us: time per request in each round, in microseconds.
        candidate_us: The same of what is compared with it, in the same rounds.

    Raises:
        ValueError: The two differ in length, or are empty.
    """
    pairs = list(zip(baseline_us, candidate_us, strict=True))
    if not pairs:
        raise ValueError("0 rounds were measured; a comparison needs at least 1")
    ratios = [candidate / baseline for baseline, candidate in pairs]
    lower, upper = quartiles(ratios)
    return Summary(
        baseline_us=median(baseline_us),
        candidate_us=median(candidate_us),
        added_us=median(candidate - baseline for baseline, candidate in pairs),
        ratio=median(ratios),
        lower_quartile=lower,
        upper_quartile=upper,
        rounds=len(pairs),
    )


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The lower and the upper quartile; of a single value, twice that value."""
    if len(values) == 1:
        return values[0], values[0]
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return lower, upper


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished comparison.

    Attributes:
        name: What was measured.
        against: What it was compared with.
        summary: The figures.
        aim: The largest ratio that we accept; ``None`` if it is shown only for comparison.
        table: The heading of the table that it stands in.
        clock: Whether times are CPU time or the time that passed.
    """

    name: str
    against: str
    summary: Summary
    aim: float | None = None
    table: str = ""
    clock: Clock = "cpu"

    @property
    def missed(self) -> bool:
        """Whether the ratio is above the aim."""
        return self.aim is not None and self.summary.ratio > self.aim


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A finished measurement that is no ratio of times.

    Attributes:
        name: What was measured.
        what: Which figure of it.
        unit: Of the value.
        values: One of each round.
        aim: The largest value that we accept; ``None`` if it is shown only for comparison.
        table: The heading of the table that it stands in.
    """

    name: str
    what: str
    unit: str
    values: Sequence[float]
    aim: float | None = None
    table: str = ""

    @property
    def value(self) -> float:
        """The median over all rounds."""
        return median(self.values)

    @property
    def missed(self) -> bool:
        """Whether the value is above the aim."""
        return self.aim is not None and self.value > self.aim


Measured = Result | Figure
