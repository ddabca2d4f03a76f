"""Sessions and repositories against the same by hand, and memory while a table is streamed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from benchmarks import databases, listing
from benchmarks.contest import ROOT, Comparison, Contest, Contestant, measure
from benchmarks.part import Results, Size
from benchmarks.ratios import Figure, Measured
from benchmarks.streaming import EXPORTS

SMALL = 1_000  # rows
BY_HAND = "benchmarks.handwritten.sessions:make_app"
OURS = "benchmarks.database_apps"
MEMORY_AIM = 40.0  # MiB

REQUESTS = {
    "reads a row": ("GET", "/items/7", "`SessionDep`"),
    "changes a row": ("POST", "/items/7", "`SessionDep`"),
    "reads a row, cannot write": ("GET", "/reading/7", "`ReadSessionDep`"),
}
CALLS = {
    "get": ("statement_get", "repository_get_one"),
    "all, 20 rows": ("statement_list", "repository_list"),
}


def sessions(name: str, url: str) -> list[Contest]:
    # Apart: in one file, whoever reads after a writer pays for pages that the writer changed.
    reading = [what for what, (method, *_) in REQUESTS.items() if method == "GET"]
    writing = [what for what in REQUESTS if what not in reading]
    return [of_requests(reading, name, url), of_requests(writing, name, url)]


def of_requests(kinds: Sequence[str], name: str, url: str) -> Contest:
    contestants: dict[str, Contestant] = {}
    comparisons: list[Comparison] = []
    for what in kinds:
        method, path, dependency = REQUESTS[what]
        ours, by_hand = f"{dependency}, {what}", f"by hand, {what}"
        contestants[by_hand] = Contestant(make=BY_HAND, method=method, path=path)
        contestants[ours] = Contestant(make=f"{OURS}:make_app", method=method, path=path)
        comparisons.append(Comparison(candidate=ours, baseline=by_hand, aim=1.15))
    return Contest(
        table=f"A request with a session, {name}",
        contestants=contestants,
        comparisons=comparisons,
        requests=60,
        rounds=12,
        launches=2,
        database=url,
    )


def repositories(name: str, url: str) -> Contest:
    contestants: dict[str, Contestant] = {}
    comparisons: list[Comparison] = []
    for what, (statement, repository) in CALLS.items():
        ours, by_hand = f"`Repository`, {what}", f"the statement, {what}"
        contestants[by_hand] = Contestant(make=f"{OURS}:{statement}")
        contestants[ours] = Contestant(make=f"{OURS}:{repository}")
        comparisons.append(Comparison(candidate=ours, baseline=by_hand, aim=1.03))
    return Contest(
        table=f"In an open session, {name}",
        contestants=contestants,
        comparisons=comparisons,
        requests=120,
        rounds=12,
        launches=2,
        database=url,
    )


def streamed(run: tuple[str, str, str], rows: int) -> list[Figure]:
    """Memory and speed of one export in a process of its own."""
    name, url, export = run
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.streaming", export, str(rows)],
        cwd=ROOT,
        env={**os.environ, databases.VARIABLE: url},
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{export} of {name} could not be measured; the error stands above")
    return list(figures_of(f"{export}, {name}", rows, *json.loads(done.stdout)))


def figures_of(name: str, rows: int, memory: float | None, per_second: float) -> Iterator[Figure]:
    table = f"Streaming {rows:,} rows"
    if memory is not None:
        yield Figure(
            name=name,
            what="peak memory over that at rest",
            unit="MiB",
            values=[memory],
            aim=MEMORY_AIM,
            table=table,
        )
    yield Figure(name=name, what="rows per second", unit="/s", values=[per_second], table=table)


@dataclass(frozen=True, kw_only=True)
class DatabasePart:
    """The part (see `benchmarks.part.Part`)."""

    name: str = "database"
    title: str = "Databases"
    about: str = (
        "By hand means `benchmarks/handwritten/sessions.py`, with the same guarantees. CPU time of "
        "this process, SQLite included and a PostgreSQL server not. An export is streamed to a "
        "client that takes everything; its memory is the process' peak over that at rest, after a "
        "first export of a thousand rows."
    )

    def measure(self, size: Size) -> Results:
        """On SQLite, and on PostgreSQL where a server answers."""
        with ExitStack() as stack:
            urls = {
                "SQLite": stack.enter_context(databases.sqlite()),
                "PostgreSQL": stack.enter_context(databases.postgres()),
            }
            found = {name: url for name, url in urls.items() if url is not None}
            for url in found.values():
                listing.fill(url, max(SMALL, size.rows))
            contests = [
                contest
                for name, url in found.items()
                for contest in (*sessions(name, url), repositories(name, url))
            ]
            results: list[Measured] = [*measure(contests, size)]
            runs = [
                (name, url, export)
                for name, url in found.items()
                for export in (EXPORTS if name == "SQLite" else ["JSON lines"])
            ]
            with ThreadPoolExecutor(size.at_once) as pool:
                for figures in pool.map(partial(streamed, rows=size.rows), runs):
                    results += figures
        return results


PART = DatabasePart()
