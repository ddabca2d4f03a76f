"""Which problem a database error is."""

import asyncio
import sqlite3
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import MetaData, insert, text
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError

from fastapi_kit.db import Database, SessionDep, database_errors
from fastapi_kit.errors import AppError, ServiceUnavailableError, add_error_handlers

from .shop import Item, Label, Note, build_app, running


class NameTakenError(AppError):
    status_code = 410
    type = "/problems/name-taken"


async def answer_to(app: FastAPI, *rows: Any, statement: str | None = None) -> httpx.Response:
    """What a request is answered that stores the rows, or runs the statement."""

    @app.post("/")
    async def store(session: SessionDep) -> None:
        for row in rows:
            session.add(row)
            await session.flush()
        if statement is not None:
            await session.execute(text(statement))

    async with running(app) as client:
        return await client.post("/")


@pytest.mark.parametrize(
    ("row", "status"),
    [
        (Item(name="lamp"), 409),
        (Item(id=1, name="chair"), 409),
        (Note(item_id=404), 409),
        (Label(item_id=404), 409),
        (Item(name=None), 422),
        (Item(name="chair", stock=-1), 422),
        (Item(name="chair", stock=2**63), 422),
        (Item(name="a\ud800b"), 422),
    ],
    ids=["unique", "primary-key", "deferred", "reference", "null", "check", "number", "surrogate"],
)
async def test_what_the_client_sent_wrongly_is_a_4xx(
    any_db: Database, row: Any, status: int
) -> None:
    response = await answer_to(build_app(any_db), type(row)(**columns(row)))

    assert response.status_code == status
    assert response.json()["status"] == status


def columns(row: Any) -> dict[str, Any]:
    """Of a row made for all runs of a test, so that each stores one of its own."""
    return {name: value for name, value in vars(row).items() if not name.startswith("_")}


async def test_a_nul_character_is_a_422_where_the_database_has_none(postgres_db: Database) -> None:
    response = await answer_to(build_app(postgres_db), Item(name="a\0b"))

    assert response.status_code == 422


async def test_deleting_what_is_referred_to_is_a_409(any_db: Database) -> None:
    app = build_app(any_db)

    response = await answer_to(app, Label(item_id=1), statement="DELETE FROM wares")

    assert response.status_code == 409


@pytest.mark.parametrize("statement", ["SELECT * FROM missing", "SELEC"])
async def test_a_mistake_of_ours_stays_a_500(any_db: Database, statement: str) -> None:
    response = await answer_to(build_app(any_db), statement=statement)

    assert response.status_code == 500
    assert statement not in response.text


async def test_nothing_of_the_row_or_the_statement_is_told(any_db: Database) -> None:
    response = await answer_to(build_app(any_db), Item(name="lamp", stock=4711))

    assert response.json()["detail"] == "This conflicts with something that exists already"
    for word in ("lamp", "4711", "INSERT", "wares"):
        assert word not in response.text


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("uq_wares_name", [Item(name="lamp")]),
        ("pk_wares", [Item(id=1, name="chair")]),
        ("uq_wares_code_shelf", [Item(name=n, code=1, shelf=1) for n in "ab"]),
        ("uq_wares_lower_tag", [Item(name=n, tag=n) for n in ("x", "X")]),
        ("ck_wares_stock_not_negative", [Item(name="chair", stock=-1)]),
    ],
)
async def test_a_named_constraint_gets_the_apps_own_sentence(
    any_db: Database, name: str, rows: list[Item]
) -> None:
    app = FastAPI(lifespan=any_db.lifespan)
    errors = database_errors(constraints={"uq_other": "no", name: "The app's own sentence"})
    add_error_handlers(app, extra=[errors])

    response = await answer_to(app, *(Item(**columns(row)) for row in rows))

    assert response.json()["detail"] == "The app's own sentence"


async def test_a_named_constraint_can_have_a_problem_of_its_own(any_db: Database) -> None:
    app = FastAPI(lifespan=any_db.lifespan)
    add_error_handlers(app, extra=[database_errors(constraints={"uq_wares_name": NameTakenError})])

    response = await answer_to(app, Item(name="lamp"))

    assert (response.status_code, response.json()["type"]) == (410, "/problems/name-taken")


async def test_a_foreign_key_has_a_name_on_postgresql_only(any_db: Database) -> None:
    """SQLite does not report which it was."""
    app = FastAPI(lifespan=any_db.lifespan)
    name = "fk_labels_item_id_wares"
    add_error_handlers(app, extra=[database_errors(constraints={name: "No such item"})])
    on_sqlite = any_db.url.get_backend_name() == "sqlite"

    response = await answer_to(app, Label(item_id=404))

    assert response.status_code == 409
    assert (response.json()["detail"] == "No such item") is not on_sqlite


async def test_models_of_another_base_are_named_by_their_metadata(sqlite_db: Database) -> None:
    constraints = {"uq_wares_name": "E-mail already registered"}
    stranger = database_errors(constraints=constraints, metadata=MetaData())
    with pytest.raises(DBAPIError) as caught:
        async with sqlite_db.session() as session:
            await session.execute(insert(Item).values(name="lamp"))

    assert str(stranger(caught.value)).startswith("409: This conflicts")
    assert str(database_errors(constraints=constraints)(caught.value)).startswith("409: E-mail")


async def test_a_database_that_cannot_be_reached_is_a_503(postgres_driver_url: str) -> None:
    """Wherever the driver says so: psycopg by an error of its own, asyncpg by an OSError."""
    address = postgres_driver_url.replace(":5432", ":1")
    app = build_app(Database(address, check_at_start=False))

    response = await answer_to(app, Item(name="chair"))

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


def on_server(sqlstate: str) -> DBAPIError:
    error = Exception()
    error.sqlstate = sqlstate  # type: ignore[attr-defined]
    return OperationalError("SELECT 1", None, error)


@pytest.mark.parametrize(
    ("sqlstate", "status"),
    [
        ("23P01", 409),
        ("23001", 409),
        ("22001", 422),
        ("40001", 503),
        ("40P01", 503),
        ("55P03", 503),
        ("53300", 503),
        ("57P01", 503),
        ("08006", 503),
        ("25006", None),
        ("42P01", None),
        ("57014", None),
    ],
)
def test_sqlstates(sqlstate: str, status: int | None) -> None:
    answer = database_errors()(on_server(sqlstate))

    assert (answer and answer.status_code) == status


@pytest.mark.parametrize(
    ("errno", "status"),
    [(1062, 409), (1452, 409), (1048, 422), (1406, 422), (1213, 503), (2006, 503), (1146, None)],
)
def test_errnos_of_mysql(errno: int, status: int | None) -> None:
    answer = database_errors()(OperationalError("SELECT 1", None, Exception(errno, "text")))

    assert (answer and answer.status_code) == status


@pytest.mark.parametrize("name", ["SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED"])
def test_a_locked_sqlite_is_a_503(name: str) -> None:
    error = sqlite3.OperationalError()
    error.sqlite_errorname = name

    answer = database_errors(retry_after_seconds=7)(OperationalError("SELECT 1", None, error))

    assert isinstance(answer, ServiceUnavailableError)
    assert answer.headers == {"Retry-After": "7"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OperationalError("SELECT 1", None, Exception("the connection is lost")), 503),
        (InterfaceError("SELECT 1", None, Exception(), connection_invalidated=True), 503),
        (DataError("SELECT 1", None, Exception("NUL")), 422),
        (InterfaceError("SELECT 1", None, Exception("bad use")), None),
        (RuntimeError("not a database's"), None),
    ],
)
def test_errors_without_a_code(error: Exception, status: int | None) -> None:
    answer = database_errors()(error)

    assert (answer and answer.status_code) == status


async def test_a_deadlock_is_a_503(postgres_db: Database) -> None:
    both = asyncio.Barrier(2)

    async def update(first: int, second: int) -> Exception | None:
        try:
            async with postgres_db.session() as session:
                await session.execute(text(f"UPDATE wares SET stock = 1 WHERE id = {first}"))
                await both.wait()
                await session.execute(text(f"UPDATE wares SET stock = 1 WHERE id = {second}"))
        except DBAPIError as error:
            return error
        return None

    async with postgres_db.session() as session:
        session.add(Item(name="chair"))
    results = await asyncio.gather(update(1, 2), update(2, 1))

    [error] = [result for result in results if result is not None]
    assert isinstance(database_errors()(error), ServiceUnavailableError)


def test_its_repr_holds_no_models() -> None:
    assert "MetaData" not in repr(database_errors(constraints={"uq_a": "x"}))
