"""Faults of a real PostgreSQL, and clients that go away, under a real server.

After each: no connection is leaked, and what was acknowledged is what is stored.
"""

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import URL, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_kit.db import (
    CSVExport,
    Database,
    DatabaseDep,
    JSONLinesExport,
    ReadSessionDep,
    SessionDep,
    database_errors,
    run_transaction,
)
from fastapi_kit.errors import add_error_handlers

from .cluster import Cluster, find_binaries, free_port
from .library import Library

PATIENCE_SECONDS = 60


class Order(Library):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    binaries = find_binaries()
    if binaries is None:  # pragma: no cover  # depends on the machine
        if os.environ.get("CI") == "true":
            pytest.fail("CI=true requires PostgreSQL's server programs (initdb, pg_ctl)")
        pytest.skip("PostgreSQL's server programs (initdb, pg_ctl) are not installed here")
    # Not pytest's own folder, which the server's user may not enter.
    directory = Path(tempfile.mkdtemp(prefix="kit-cluster-"))
    cluster = Cluster(binaries, directory)
    cluster.start()
    yield cluster
    cluster.stop()
    shutil.rmtree(directory)


@pytest.fixture(params=["psycopg", "asyncpg"])
def url(request: pytest.FixtureRequest, cluster: Cluster) -> URL:
    return cluster.url(request.param)


@pytest.fixture
async def db(url: URL) -> AsyncIterator[Database]:
    # What is older than the test is none of its leaks; to look through it all takes long.
    gc.freeze()
    async with Database(url, pool_size=4, max_overflow=1, pool_timeout_seconds=2) as database:
        async with database.engine.begin() as connection:
            await connection.execute(text("DROP TABLE IF EXISTS orders"))
            await connection.execute(text("CREATE TABLE orders (id INTEGER PRIMARY KEY)"))
        yield database
    gc.unfreeze()


def orders_app(db: Database) -> FastAPI:
    app = FastAPI(lifespan=db.lifespan)
    add_error_handlers(app, extra=[database_errors(retry_after_seconds=2)])

    @app.put("/orders/{order_id}", status_code=201)
    async def order(order_id: int, session: SessionDep) -> None:
        session.add(Order(id=order_id))

    @app.get("/orders")
    async def orders(session: ReadSessionDep) -> list[int]:
        return list(await session.scalars(select(Order.id).order_by(Order.id)))

    return app


class _Server(uvicorn.Server):
    """One that leaves the test run's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app, over a socket and uvicorn."""
    config = uvicorn.Config(app, port=free_port(), log_config=None, access_log=False)
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    limits = httpx.Limits(max_keepalive_connections=0)
    base_url = f"http://127.0.0.1:{config.port}"
    try:
        # There is no TLS; without `verify=False` each client reads all certificates of the system.
        async with httpx.AsyncClient(
            base_url=base_url, timeout=PATIENCE_SECONDS, limits=limits, verify=False
        ) as client:
            yield client
    finally:
        server.should_exit = True
        await task


async def eventually(happens: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not happens():  # noqa: ASYNC110  # what is waited for sets no event
            await asyncio.sleep(0.005)


async def require_whole(db: Database, client: httpx.AsyncClient, acknowledged: set[int]) -> None:
    """What must be true after each fault."""
    await eventually(lambda: db.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]
    stored = await client.get("/orders")
    assert stored.status_code == 200
    assert set(stored.json()) == acknowledged
    async with db.read_session() as session:
        busy = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state <> 'idle' AND backend_type = 'client backend'"
        )
        assert await session.scalar(busy) == 0
    gc.collect()  # what was left open warns now, and not in another test


@dataclass
class Load:
    """Orders, several at a time, until it is told to stop."""

    client: httpx.AsyncClient
    acknowledged: set[int] = field(default_factory=set)
    refused: list[httpx.Response] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    stopped: bool = False

    async def run(self) -> None:
        while not self.stopped:
            number = next(self.numbers)
            response = await self.client.put(f"/orders/{number}")
            if response.status_code == 201:
                self.acknowledged.add(number)
            else:
                self.refused.append(response)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(self.run())
            yield
            self.stopped = True

    async def succeed(self, times: int) -> None:
        wanted = len(self.acknowledged) + times
        await eventually(lambda: len(self.acknowledged) >= wanted)


def require_503(response: httpx.Response) -> None:
    assert response.status_code == 503, response.text
    assert response.headers["retry-after"] == "2"
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_server_stopped_and_started_under_load(db: Database, cluster: Cluster) -> None:
    async with serving(orders_app(db)) as client:
        load = Load(client)
        async with load.running():
            await load.succeed(30)
            await asyncio.to_thread(cluster.stop)
            before = len(load.refused)
            await eventually(lambda: len(load.refused) >= before + 30)
            await asyncio.to_thread(cluster.start)
            await load.succeed(30)
            load.refused, refused = [], load.refused
            await load.succeed(30)

        for response in refused:
            require_503(response)
        assert load.refused == []
        await require_whole(db, client, load.acknowledged)


async def test_connections_killed_under_load(db: Database, cluster: Cluster) -> None:
    kill = text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND state LIKE 'idle%'"
    )
    async with (
        Database(cluster.url("psycopg")) as killer,
        serving(orders_app(db)) as client,
    ):
        load = Load(client)
        async with load.running():
            for _ in range(5):
                await load.succeed(10)
                async with killer.session() as session:
                    await session.execute(kill)
            await load.succeed(10)

        for response in load.refused:
            require_503(response)
        await require_whole(db, client, load.acknowledged)


async def test_a_connection_killed_within_a_transaction(db: Database) -> None:
    """More often than there are connections."""
    app = orders_app(db)

    @app.put("/killed/{order_id}")
    async def killed(order_id: int, session: SessionDep) -> None:
        session.add(Order(id=order_id))
        await session.flush()
        pid = await session.scalar(text("SELECT pg_backend_pid()"))
        async with db.session() as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})

    async with serving(app) as client:
        for number in range(6):
            require_503(await client.put(f"/killed/{number}"))
        acknowledged = await client.put("/orders/1")

        assert acknowledged.status_code == 201
        await require_whole(db, client, {1})


async def test_collisions_are_tried_again_until_all_are_acknowledged(db: Database) -> None:
    app = orders_app(db)

    @app.post("/next")
    async def following(database: DatabaseDep) -> int:
        return await run_transaction(
            database, add_next, isolation_level="SERIALIZABLE", attempts=100
        )

    async def add_next(session: AsyncSession) -> int:
        order = Order(id=1 + (await session.scalar(select(func.max(Order.id))) or 0))
        session.add(order)
        await session.flush()
        return order.id

    async with serving(app) as client:
        responses = await asyncio.gather(*(client.post("/next") for _ in range(5)))

        assert {response.status_code for response in responses} <= {200, 409}
        await require_whole(
            db, client, {response.json() for response in responses if response.is_success}
        )


@pytest.mark.usefixtures("db")
async def test_an_exhausted_pool(url: URL) -> None:
    db = Database(url, pool_size=4, max_overflow=1, pool_timeout_seconds=0.2)
    app = orders_app(db)
    release = asyncio.Event()

    @app.put("/slow/{order_id}")
    async def slow(order_id: int, session: SessionDep) -> None:
        session.add(Order(id=order_id))
        await session.flush()
        await release.wait()

    async with serving(app) as client:
        slow_ones = [asyncio.create_task(client.put(f"/slow/{number}")) for number in range(5)]
        await eventually(lambda: db.engine.pool.checkedout() == 5)  # type: ignore[attr-defined]
        refused = await asyncio.gather(*(client.put(f"/orders/{n}") for n in range(100, 110)))
        release.set()
        answers = await asyncio.gather(*slow_ones)
        after = await client.put("/orders/200")

        for response in refused:
            require_503(response)
        assert [response.status_code for response in (*answers, after)] == [200] * 5 + [201]
        await require_whole(db, client, {0, 1, 2, 3, 4, 200})


async def test_a_client_that_goes_away_within_its_request(db: Database) -> None:
    """The request runs to its end, as without the kit; more of them than there are connections."""
    app = orders_app(db)
    started: list[int] = []

    @app.put("/slow/{order_id}")
    async def slow(order_id: int, session: SessionDep) -> None:
        session.add(Order(id=order_id))
        await session.flush()
        started.append(order_id)
        await session.execute(text("SELECT pg_sleep(0.05)"))

    async with serving(app) as client:
        for number in range(7):
            request = asyncio.create_task(client.put(f"/slow/{number}"))
            await eventually(lambda wanted=number: wanted in started)  # type: ignore[misc]
            request.cancel()
            await asyncio.wait([request])
        acknowledged = await client.put("/orders/100")

        assert acknowledged.status_code == 201
        await require_whole(db, client, {*range(7), 100})


class Number(BaseModel):
    n: int


# Not in FROM, where PostgreSQL would make all the numbers before it gives the first.
SERIES = select(func.generate_series(1, 1_000_000).label("n")).subquery()
FAILS_AT = 5_000
FAILS_LATE = select((SERIES.c.n / (SERIES.c.n - FAILS_AT) * 0 + SERIES.c.n).label("n"))


def export_app(db: Database) -> FastAPI:
    app = orders_app(db)

    @app.get("/lines")
    async def lines(database: DatabaseDep) -> JSONLinesExport:
        return JSONLinesExport(database, select(SERIES.c.n), into=Number)

    @app.get("/csv")
    async def table(database: DatabaseDep) -> CSVExport:
        return CSVExport(database, select(SERIES.c.n), into=Number)

    @app.get("/broken-lines")
    async def broken_lines(database: DatabaseDep) -> JSONLinesExport:
        return JSONLinesExport(database, FAILS_LATE, into=Number)

    @app.get("/broken-csv")
    async def broken_table(database: DatabaseDep) -> CSVExport:
        return CSVExport(database, FAILS_LATE, into=Number)

    return app


@pytest.mark.parametrize("path", ["/lines", "/csv"])
async def test_clients_that_go_away_within_a_stream(db: Database, path: str) -> None:
    async with serving(export_app(db)) as client:
        for _ in range(7):
            async with client.stream("GET", path) as response:
                assert response.status_code == 200
                await anext(response.aiter_bytes())

        await require_whole(db, client, set())


@pytest.mark.parametrize("path", ["/broken-lines", "/broken-csv"])
async def test_a_row_that_fails_breaks_the_transfer(db: Database, path: str) -> None:
    """A client that got 200 and half a file must not take it for a whole one."""
    async with serving(export_app(db)) as client:
        lines = 0

        async def read_all() -> None:
            nonlocal lines
            async with client.stream("GET", path) as response:
                assert response.status_code == 200
                async for chunk in response.aiter_bytes():
                    lines += chunk.count(b"\n")

        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await read_all()

        assert 1000 <= lines < FAILS_AT
        await require_whole(db, client, set())


async def test_a_connection_lost_within_a_stream_breaks_the_transfer(db: Database) -> None:
    kill = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND state <> 'idle'"
    )
    async with serving(export_app(db)) as client:

        async def read_all() -> None:
            async with client.stream("GET", "/lines") as response:
                chunks = response.aiter_bytes()
                await anext(chunks)
                async with db.session() as session:
                    await session.execute(kill)
                async for _ in chunks:
                    pass

        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await read_all()

        await require_whole(db, client, set())


async def test_a_server_that_is_down_is_told_before_a_stream_begins(
    db: Database, cluster: Cluster
) -> None:
    async with serving(export_app(db)) as client:
        # SQLAlchemy leaves the cursor of a connection that it finds lost to the garbage collector,
        # where psycopg warns of it; so let there be none.
        await db.engine.dispose()
        cluster.stop()
        try:
            down = await client.get("/lines")
        finally:
            cluster.start()
        async with client.stream("GET", "/lines") as up:
            pass

        require_503(down)
        assert up.status_code == 200
        await require_whole(db, client, set())
