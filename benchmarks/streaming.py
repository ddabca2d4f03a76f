"""Memory while a whole table is streamed: started by `benchmarks.database`."""

import asyncio
import json
import sys
import time
from typing import Any

from sqlalchemy import select

from benchmarks import databases
from benchmarks.listing import Item, ItemOut
from benchmarks.logins import memory_mib, reset_peak
from fastapi_kit.db import CSVExport, Database, JSONLinesExport

EXPORTS = {"JSON lines": JSONLinesExport, "CSV": CSVExport}
WARM_UP = 1_000  # rows
SELF = "self"


async def stay() -> Any:
    """A client that does not go away; one that answers at once would keep the server busy."""
    await asyncio.Event().wait()


async def lines_of(db: Database, name: str, rows: int) -> int:
    """How many lines a client gets that takes everything."""
    count = 0

    async def take(message: Any) -> None:
        nonlocal count
        count += message.get("body", b"").count(b"\n")

    statement = select(Item).order_by(Item.id).limit(rows)
    response = EXPORTS[name](db, statement, into=ItemOut)
    await response({"type": "http", "method": "GET", "headers": []}, stay, take)
    return count


async def main(name: str, rows: int) -> tuple[float | None, float]:
    """MiB beyond those at rest, and rows per second."""
    async with Database(databases.url()) as db:
        await lines_of(db, name, WARM_UP)
        reset_peak(SELF)
        at_rest = memory_mib(SELF, "VmRSS")
        start = time.perf_counter()
        lines = await lines_of(db, name, rows)
        per_second = rows / (time.perf_counter() - start)
        peak = memory_mib(SELF, "VmHWM")
    if lines != rows + (name == "CSV"):
        raise RuntimeError(f"{lines} lines came of {rows} rows")
    return None if peak is None or at_rest is None else peak - at_rest, per_second


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2])))))
