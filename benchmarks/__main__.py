"""Runs the benchmarks, prints their tables and writes them to benchmarks/results/."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from benchmarks import auth, database, machine, pagination, report, server, stack
from benchmarks.part import FULL, SMOKE, Part

RESULTS = Path(__file__).parent / "results"
PARTS: dict[str, Part] = {
    part.name: part for part in (stack.PART, server.PART, pagination.PART, database.PART, auth.PART)
}


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks; 1 if an aim was missed."""
    asked = parse(arguments)
    if asked.smoke:
        smoke(asked.parts)
        return 0
    missed = [line for name in asked.parts for line in measure(PARTS[name], asked.results)]
    for line in missed:
        print(f"Missed: {line}")
    return 1 if missed else 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all if none is named"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="see that everything runs, keep no figures"
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="folder", help="where results go"
    )
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.parts if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; choose from {', '.join(PARTS)}")
    asked.parts = asked.parts or list(PARTS)
    return asked


def measure(part: Part, folder: Path) -> list[str]:
    """Measure, write and print the results; returns the aims that were missed."""
    print(f"Measuring: {part.title} ...", file=sys.stderr, flush=True)
    results = part.measure(FULL)
    facts = machine.facts()
    report.write(folder, part, results, facts)
    print(report.markdown(part, results, facts), flush=True)
    return report.missed_aims(results)


def smoke(names: Sequence[str]) -> None:
    """See that everything runs; what is measured so briefly means nothing and is not kept."""
    for name in names:
        started = monotonic()
        with tempfile.TemporaryDirectory() as folder:
            results = PARTS[name].measure(SMOKE)
            report.write(Path(folder), PARTS[name], results, machine.facts())
        seconds = monotonic() - started
        print(f"{name}: all {len(results)} comparisons run ({seconds:.0f} s)", flush=True)


def end(_number: int, _frame: object) -> None:
    """Leave by the exits: databases and servers of ours are removed on the way."""
    sys.exit(143)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    sys.exit(main(sys.argv[1:]))
