"""Results as tables for people, and as JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from benchmarks.part import Part, Plotted
from benchmarks.ratios import Figure, Measured, Result, quartiles

HEADS = {"cpu": "CPU µs", "wall": "µs on the clock"}


def write(folder: Path, part: Part, results: Sequence[Measured], facts: Mapping[str, str]) -> None:
    """Write ``<part>.md`` and ``<part>.json``, and its plots where it has some.

    Args:
        folder: Made if need be; what stands there under these names is replaced.
        part: What was measured.
        results: The figures.
        facts: What they depend on (`benchmarks.machine.facts`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part.name}.md").write_text(markdown(part, results, facts))
    (folder / f"{part.name}.json").write_text(as_json(part, results, facts))
    if isinstance(part, Plotted):
        for name, drawn in part.plots(results).items():
            (folder / name).write_text(drawn)


def markdown(part: Part, results: Sequence[Measured], facts: Mapping[str, str]) -> str:
    """The tables with what they depend on, for the documentation to include."""
    depends = "; ".join(f"{name} {value}" for name, value in facts.items() if name != "date")
    lines = [
        f"### {part.title}",
        "",
        part.about,
        "",
        *tables(results),
        f"Measured on {facts['date']}: {depends}.",
    ]
    return "\n".join(lines) + "\n"


def tables(results: Sequence[Measured]) -> list[str]:
    """The lines of Markdown tables, each with its heading and an empty line after it."""

    def kind(one: Measured) -> tuple[str, str]:
        return one.table, one.clock if isinstance(one, Result) else ""

    lines: list[str] = []
    for (heading, clock), group in groupby(results, key=kind):
        lines += [f"**{heading}**", ""] if heading else []
        lines += [*head(clock), *map(row, group), ""]
    return lines


def head(clock: str) -> tuple[str, str]:
    """The head of a table of ratios by this clock, or of figures where there is none."""
    if not clock:
        return "| measured | figure | median | quartiles | aim |", "|---|---|--:|--:|--:|"
    return (
        f"| measured | against | {HEADS[clock]} | added µs | ratio | quartiles | aim |",
        "|---|---|--:|--:|--:|--:|--:|",
    )


def row(result: Measured) -> str:
    """A line of a table."""
    cells = figure_cells(result) if isinstance(result, Figure) else ratio_cells(result)
    return f"| {' | '.join([*cells, verdict(result)])} |"


def ratio_cells(result: Result) -> list[str]:
    figures = result.summary
    return [
        result.name,
        result.against,
        f"{figures.candidate_us:,.1f}",
        f"{figures.added_us:+,.1f}",
        f"{figures.ratio:.3f}",
        f"{figures.lower_quartile:.3f} to {figures.upper_quartile:.3f}",
    ]


def figure_cells(figure: Figure) -> list[str]:
    lower, upper = quartiles(figure.values)
    return [
        figure.name,
        figure.what,
        f"{figure.value:,.1f} {figure.unit}",
        f"{lower:,.1f} to {upper:,.1f}",
    ]


def verdict(result: Measured) -> str:
    """The aim and whether it is reached; empty without an aim."""
    if result.aim is None:
        return ""
    return f"≤ {result.aim:.2f} {'**missed**' if result.missed else 'pass'}"


def missed_aims(results: Sequence[Measured]) -> list[str]:
    """A line for each result that is above its aim."""
    return [missed_aim(one) for one in results if one.missed]


def missed_aim(one: Measured) -> str:
    place = f"{one.table}: " if one.table else ""
    if isinstance(one, Figure):
        return f"{place}{one.name}, {one.what}: {one.value:.1f} {one.unit}, aim {one.aim:.1f}"
    return f"{place}{one.name} against {one.against}: {one.summary.ratio:.3f}, aim {one.aim:.2f}"


def as_json(part: Part, results: Sequence[Measured], facts: Mapping[str, str]) -> str:
    """The same figures unrounded."""
    document = {
        "part": part.name,
        "facts": dict(facts),
        "results": [{**asdict(result), "missed": result.missed} for result in results],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
