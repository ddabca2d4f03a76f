"""Pages: what a request for one costs, how that grows with depth, and what counting adds."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from benchmarks import databases, listing
from benchmarks.contest import ROOT, Comparison, Contest, Contestant, measure
from benchmarks.part import Results, Size
from benchmarks.plot import svg
from benchmarks.ratios import Result, summarise

SMALL = 1_000  # rows, for the cost of a request alone
BY_HAND = "benchmarks.handwritten.paging"
OURS = "benchmarks.paging_apps"
PEER = "benchmarks.peers.pagination"
PAGE = "/items?page=3&size=10"
CURSOR = "/items?size=10"

DEPTHS = {100: "100", 10_000: "10,000", 100_000: "100,000", 990_000: "990,000"}
DEEPEST_AIMS = {"homogeneous": 1.3, "mixed": 1.3, "tied": 1.3, "nullable": 1.5}


def page(make: str, package: str | None = None) -> Contestant:
    return Contestant(make=make, path=PAGE, items=10, package=package)


def cursor(make: str, member: str = "next", package: str | None = None) -> Contestant:
    return Contestant(make=make, path=CURSOR, cursor_in=member, items=10, package=package)


def requests(name: str, url: str) -> Contest:
    """All kinds of pages of a small table."""
    return Contest(
        table=f"A request for a page of 10 among {SMALL:,} rows, {name}",
        contestants={
            "by hand": page(f"{BY_HAND}:offset"),
            "`PaginationDep` and `paginate`": page(f"{OURS}:first_layer"),
            "by hand, sorted": page(f"{BY_HAND}:sorted_offset"),
            "`OffsetPaginator`": page(f"{OURS}:counted"),
            "fastapi-pagination `Page`": page(f"{PEER}:page", "fastapi_pagination"),
            "fastapi-pagination `Page`, no count": page(
                f"{PEER}:uncounted_page", "fastapi_pagination"
            ),
            "by hand, keyset": cursor(f"{BY_HAND}:keyset"),
            "`CursorPaginator`": cursor(f"{OURS}:by_cursor"),
            "fastapi-pagination `CursorPage`": cursor(
                f"{PEER}:cursor_page", "next_page", "fastapi_pagination"
            ),
            "fastapi-pagination `CursorPage`, no count": cursor(
                f"{PEER}:uncounted_cursor_page", "next_page", "fastapi_pagination"
            ),
        },
        comparisons=[
            Comparison(candidate="`PaginationDep` and `paginate`", baseline="by hand", aim=1.05),
            Comparison(candidate="`OffsetPaginator`", baseline="by hand, sorted"),
            Comparison(candidate="fastapi-pagination `Page`", baseline="by hand"),
            Comparison(candidate="fastapi-pagination `Page`, no count", baseline="by hand"),
            Comparison(candidate="`CursorPaginator`", baseline="by hand, keyset", aim=1.10),
            Comparison(candidate="fastapi-pagination `CursorPage`", baseline="by hand, keyset"),
            Comparison(
                candidate="fastapi-pagination `CursorPage`, no count", baseline="by hand, keyset"
            ),
        ],
        requests=48,
        rounds=12,
        launches=3,
        database=url,
    )


def counts(name: str, url: str, rows: int) -> Contest:
    """How much counting a large table adds."""
    return Contest(
        table=f"Counting: a request for a page of 10 among {rows:,} rows, {name}",
        contestants={
            "no count": page(f"{OURS}:uncounted"),
            "`Count.capped(10_000)`": page(f"{OURS}:capped"),
            "`Count.exact`": page(f"{OURS}:counted"),
            "by hand, exact": page(f"{BY_HAND}:sorted_offset"),
            "fastapi-pagination `Page`": page(f"{PEER}:page", "fastapi_pagination"),
        },
        comparisons=[
            Comparison(candidate="`Count.capped(10_000)`", baseline="no count"),
            Comparison(candidate="`Count.exact`", baseline="no count"),
            Comparison(candidate="`Count.exact`", baseline="by hand, exact"),
            Comparison(candidate="fastapi-pagination `Page`", baseline="no count"),
        ],
        clock="wall",
        requests=2,
        rounds=12,
        launches=1,
        database=url,
    )


IN_MEMORY = Contest(
    table="A page of 10 of a list in memory, one call",
    contestants={
        "a slice by hand": Contestant(make=f"{OURS}:in_memory_by_hand"),
        "`paginate_sequence`": Contestant(make=f"{OURS}:in_memory"),
        "fastapi-pagination `paginate`": Contestant(
            make=f"{PEER}:in_memory", package="fastapi_pagination"
        ),
    },
    comparisons=[
        Comparison(candidate="`paginate_sequence`", baseline="a slice by hand", aim=2.00),
        Comparison(candidate="fastapi-pagination `paginate`", baseline="a slice by hand"),
    ],
    launches=3,
)


def depth(name: str, url: str, size: Size) -> list[Result]:
    """Pages at several depths against page two, by cursor and by OFFSET."""
    # A smaller table has the same depths, relative to its length.
    depths = {shown * size.rows // 1_000_000 or 1: label for shown, label in DEPTHS.items()}
    order = {
        "depths": sorted(depths),
        "rounds": min(15, size.rounds),
        "pages": max(1, size.requests // 24),
        "offset_rounds": min(3, size.rounds),
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.depth", json.dumps(order)],
        cwd=ROOT,
        env={**os.environ, databases.VARIABLE: url},
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"depth on {name} could not be measured; the error stands above")
    table = f"A page of 50 among {size.rows:,} rows, {name}"
    return list(results_of_depth(table, json.loads(done.stdout), depths))


def results_of_depth(
    table: str,
    times: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
    depths: Mapping[int, str],
) -> Iterator[Result]:
    for way, rounds_of in times.items():
        for key, rounds in rounds_of.items():
            order, _, at = key.partition(", ")
            deepest = int(at) == max(depths) and way == "by cursor"
            page_two, deep = zip(*rounds, strict=True)
            yield Result(
                name=f"{way}, {order} keys, after {depths[int(at)]}",
                against="page two",
                summary=summarise(page_two, deep),
                aim=DEEPEST_AIMS[order] if deepest else None,
                table=table,
                clock="wall",
            )


@dataclass(frozen=True, kw_only=True)
class Pagination:
    """The part (see `benchmarks.part.Part`)."""

    name: str = "pagination"
    title: str = "Pages"
    about: str = (
        "What takes turns in one process is compared; the apps of a table share one database and "
        "one kind of session. By hand means `benchmarks/handwritten/paging.py`: the same "
        "validation, signed cursors, way back and `Link` header. "
        "A request's cost is CPU time of this process, SQLite included and a PostgreSQL server not."
    )

    def measure(self, size: Size) -> list[Result]:
        """On SQLite, and on PostgreSQL where a server answers."""
        with ExitStack() as stack:
            found = {
                "SQLite": (
                    stack.enter_context(databases.sqlite()),
                    stack.enter_context(databases.sqlite()),
                )
            }
            if server := stack.enter_context(databases.postgres()):
                large = stack.enter_context(databases.postgres())
                found["PostgreSQL"] = (server, str(large))
            for small, large in found.values():
                listing.fill(small, SMALL)
                listing.fill(large, size.rows)
            results = measure(
                [*(requests(name, small) for name, (small, _) in found.items()), IN_MEMORY], size
            )
            with ThreadPoolExecutor(size.at_once) as pool:
                for more in pool.map(partial(of_large, size=size), found.items()):
                    results += more
        return results

    def plots(self, results: Results) -> dict[str, str]:
        """Cost over depth, a plot for each database."""
        drawn: dict[str, str] = {}
        for database in ("SQLite", "PostgreSQL"):
            lines = lines_of([one for one in results if isinstance(one, Result)], database)
            if lines:
                title = f"A page of 50 of a large table, {database}"
                drawn[f"{self.name}-{database.lower()}.svg"] = svg(title, lines)
        return drawn


def lines_of(results: Sequence[Result], database: str) -> dict[str, list[tuple[float, float]]]:
    """For the plot: ms over rows before the page, by the way and kind of keys."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in results:
        way, _, depth = one.name.partition(" keys, after ")
        drawn = way.startswith("by cursor") or way == "by OFFSET, homogeneous"
        if depth and drawn and one.table.endswith(f", {database}"):
            point = (float(depth.replace(",", "")), one.summary.candidate_us / 1000)
            lines.setdefault(way.replace("by cursor", "cursor"), []).append(point)
    return lines


def of_large(database: tuple[str, tuple[str, str]], size: Size) -> list[Result]:
    name, (_, url) = database
    return [*measure([counts(name, url, size.rows)], size), *depth(name, url, size)]


PART = Pagination()
