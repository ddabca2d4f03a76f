"""What a session of a request promises, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_kit.db import (
    Database,
    DatabaseDep,
    ReadSessionDep,
    SessionDep,
    get_db,
)
from fastapi_kit.errors import ConfigurationError, NotFoundError

from .shop import Item, Note, build_app, running

SPELLINGS = {
    "SessionDep": SessionDep,
    "get_db": Annotated[AsyncSession, Depends(get_db)],
    "get_db, function scope": Annotated[AsyncSession, Depends(get_db, scope="function")],
    "get_db, request scope": Annotated[AsyncSession, Depends(get_db, scope="request")],
}


async def names(db: Database) -> list[str]:
    async with db.read_session() as session:
        return list(await session.scalars(select(Item.name).order_by(Item.id)))


@pytest.fixture(params=[*SPELLINGS, "dependency()"])
def spelling(request: pytest.FixtureRequest, db: Database) -> Any:
    """Each way to ask for a session that commits."""
    if request.param == "dependency()":
        return Annotated[AsyncSession, db.dependency()]
    return SPELLINGS[request.param]


class NamesAtResponseStart:
    """A middleware that looks into the database when the answer starts."""

    def __init__(self, app: ASGIApp, db: Database, seen: list[list[str]]) -> None:
        self.app = app
        self.db = db
        self.seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def look(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.seen.append(await names(self.db))
            await send(message)

        await self.app(scope, receive, look)


async def test_commits_before_the_response(db: Database, spelling: Any) -> None:
    app = build_app(db)
    seen: list[list[str]] = []
    app.add_middleware(NamesAtResponseStart, db=db, seen=seen)

    @app.post("/items")
    async def create(session: spelling) -> None:
        session.add(Item(name="chair"))

    async with running(app) as client:
        response = await client.post("/items")

    assert response.status_code == 200
    assert seen == [["lamp", "chair"]]


async def test_a_failed_commit_is_the_answer_and_no_background_task_runs(
    db: Database, spelling: Any
) -> None:
    app = build_app(db)
    ran: list[str] = []

    @app.post("/notes", status_code=201)
    async def create(session: spelling, tasks: BackgroundTasks) -> None:
        session.add(Note(item_id=404))
        await session.flush()
        tasks.add_task(ran.append, "mail")

    async with running(app) as client:
        response = await client.post("/notes")

    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert ran == []


async def test_a_failed_commit_leaves_nothing_on_the_connection(sqlite_url: str) -> None:
    """Without the ROLLBACK, SQLite's connection stays in the transaction that failed."""
    async with Database(sqlite_url) as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(Item.metadata.create_all)
        app = build_app(db)

        @app.post("/notes")
        async def create(session: SessionDep) -> None:
            session.add(Note(item_id=404))

        @app.get("/notes")
        async def count(session: SessionDep) -> int:
            return await session.scalar(select(func.count(Note.id))) or 0

        async with running(app) as client:
            failed = await client.post("/notes")
            counted = await client.get("/notes")

    assert failed.status_code == 409
    assert (counted.status_code, counted.json()) == (200, 0)


async def test_background_tasks_see_what_was_committed(db: Database, spelling: Any) -> None:
    app = build_app(db)
    seen: list[list[str]] = []

    async def look() -> None:
        seen.append(await names(db))

    @app.post("/items")
    async def create(session: spelling, tasks: BackgroundTasks) -> None:
        session.add(Item(name="chair"))
        tasks.add_task(look)

    async with running(app) as client:
        await client.post("/items")

    assert seen == [["lamp", "chair"]]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (HTTPException(400), 400),
        (NotFoundError(), 404),
        (RuntimeError("bug"), 500),
    ],
)
async def test_any_raised_error_rolls_back(
    db: Database, spelling: Any, error: Exception, status: int
) -> None:
    app = build_app(db)

    @app.post("/items")
    async def create(session: spelling) -> None:
        session.add(Item(name="chair"))
        await session.flush()
        raise error

    async with running(app) as client:
        response = await client.post("/items")

    assert response.status_code == status
    assert await names(db) == ["lamp"]


async def test_a_response_that_does_not_fit_its_model_rolls_back(db: Database) -> None:
    class ItemOut(BaseModel):
        price: int

    app = build_app(db)

    @app.post("/items", response_model=ItemOut)
    async def create(session: SessionDep) -> Any:
        session.add(Item(name="chair"))
        await session.flush()
        return {"name": "chair"}

    async with running(app) as client:
        response = await client.post("/items")

    assert response.status_code == 500
    assert await names(db) == ["lamp"]


async def test_a_returned_4xx_commits(db: Database, spelling: Any) -> None:
    app = build_app(db)

    @app.post("/items")
    async def create(session: spelling) -> JSONResponse:
        session.add(Item(name="failed attempt"))
        return JSONResponse({"detail": "no"}, status_code=403)

    async with running(app) as client:
        response = await client.post("/items")

    assert response.status_code == 403
    assert await names(db) == ["lamp", "failed attempt"]


async def test_all_spellings_share_one_session(db: Database) -> None:
    app = build_app(db)
    function_scope: Any = SPELLINGS["get_db, function scope"]
    request_scope: Any = SPELLINGS["get_db, request scope"]

    @app.get("/")
    async def same(
        first: SessionDep,
        second: Annotated[AsyncSession, Depends(get_db)],
        third: function_scope,
        fourth: request_scope,
    ) -> bool:
        return first is second is third is fourth

    async with running(app) as client:
        assert (await client.get("/")).json() is True


async def test_get_db_can_be_replaced_in_tests(db: Database) -> None:
    app = build_app(db)

    async def replacement() -> str:
        return "fake"

    app.dependency_overrides[get_db] = replacement

    @app.get("/")
    async def both(session: SessionDep, old: Annotated[AsyncSession, Depends(get_db)]) -> Any:
        return [session, old]

    async with running(app) as client:
        assert (await client.get("/")).json() == ["fake", "fake"]


async def test_what_was_committed_can_be_read_without_another_query(db: Database) -> None:
    """Generated values and onupdate are there after the flush, and nothing expires at commit."""
    app = build_app(db)
    kept: list[Item] = []

    @app.put("/items/1")
    async def rename(session: SessionDep) -> int:
        item = await session.get_one(Item, 1)
        item.name = "lantern"
        await session.flush()
        kept.append(item)
        return item.touched

    async with running(app) as client:
        response = await client.put("/items/1")

    assert response.json() == 7
    assert kept[0].name == "lantern"


async def test_included_mounted_and_websocket_routes_find_the_database(db: Database) -> None:
    router = APIRouter()

    @router.get("/count")
    async def count(session: ReadSessionDep) -> int:
        return await session.scalar(select(func.count(Item.id))) or 0

    @router.websocket("/ws")
    async def socket(websocket: WebSocket, database: DatabaseDep, session: SessionDep) -> None:
        await websocket.accept()
        async with database.read_session() as own:
            counts = [len((await s.scalars(select(Item.id))).all()) for s in (own, session)]
        await websocket.send_json(counts)
        await websocket.close()

    app, mounted = FastAPI(lifespan=db.lifespan), FastAPI()
    app.include_router(router, prefix="/included")
    mounted.include_router(router)
    app.mount("/mounted", mounted)

    with TestClient(app) as client:
        assert client.get("/included/count").json() == 1
        assert client.get("/mounted/count").json() == 1
        for prefix in ("/included", "/mounted"):
            with client.websocket_connect(f"{prefix}/ws") as websocket:
                assert websocket.receive_json() == [1, 1]


@pytest.mark.parametrize("dependency", [SessionDep, ReadSessionDep, DatabaseDep])
def test_a_missing_database_names_the_remedy(dependency: Any) -> None:
    app = FastAPI()

    @app.get("/")
    async def route(session: dependency) -> None: ...

    with (
        TestClient(app) as client,
        pytest.raises(ConfigurationError, match=r"FastAPI\(lifespan=db.lifespan\)"),
    ):
        client.get("/")


async def test_a_session_in_a_streaming_body_raises_and_leaks_nothing(db: Database) -> None:
    app = build_app(db)
    raised: list[Exception] = []

    @app.get("/export")
    async def export(session: SessionDep) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            try:
                await session.scalar(select(Item.name))
            except InvalidRequestError as error:
                raised.append(error)
            yield b"end"

        return StreamingResponse(body())

    before = pools(db)
    async with running(app) as client:
        await client.get("/export")

    assert "permanently closed" in str(raised)
    assert checked_out(before) == 0


async def test_a_stream_opens_a_session_of_its_own(db: Database) -> None:
    app = build_app(db)

    @app.get("/export")
    async def export(database: DatabaseDep) -> StreamingResponse:
        async def body() -> AsyncIterator[str]:
            async with database.read_session() as session:
                async for name in await session.stream_scalars(select(Item.name)):
                    yield name

        return StreamingResponse(body())

    before = pools(db)
    async with running(app) as client:
        response = await client.get("/export")

    assert response.text == "lamp"
    assert checked_out(before) == 0


async def test_cancelled_requests_leak_no_connection(db: Database) -> None:
    """More of them than the pool has connections, cancelled in the middle of the transaction."""
    app = build_app(db)
    inside: asyncio.Queue[None] = asyncio.Queue()

    @app.get("/wait")
    async def wait(session: SessionDep) -> None:
        session.add(Item(name="never"))
        await session.flush()
        inside.put_nowait(None)
        await asyncio.Event().wait()

    async with running(app) as client:
        for _ in range(20):
            request = asyncio.create_task(client.get("/wait"))
            await asyncio.wait_for(inside.get(), timeout=10)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
        assert checked_out(pools(db)) == 0

    assert await names(db) == ["lamp"]


def pools(db: Database) -> set[Any]:
    return {engine.pool for engine in (db.engine, db.read_engine)}


def checked_out(pools: set[Any]) -> int:
    return sum(pool.checkedout() for pool in pools)
