"""Tables as JSON lines and CSV; what a broken transfer looks like is in test_faults."""

import csv
import io
import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, computed_field
from sqlalchemy import Select, literal, select
from starlette.types import Message

from fastapi_kit.db import CSVExport, Database, DatabaseDep, JSONLinesExport
from fastapi_kit.db.export import _cell
from fastapi_kit.errors import ConfigurationError

from .library import Book, Books
from .shop import apart, build_app, running

ROWS: list[dict[str, Any]] = [
    {"title": "Emma", "subtitle": None},
    {"title": 'A "b", c\nd', "subtitle": "ü"},
    {"title": "=1+1", "details": {"pages": [1]}},
]


class Line(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str = Field(serialization_alias="name")
    subtitle: str | None
    details: dict[str, Any] | None = None
    secret: str = Field("x", exclude=True)

    @computed_field
    def even(self) -> bool:
        return self.id % 2 == 0


class Short(BaseModel):
    title: str


ALL = select(Book).order_by(Book.id)


def export_app(db: Database, stmt: Select[Any] = ALL) -> FastAPI:
    app = build_app(db)

    @app.get("/lines", response_class=JSONLinesExport)
    async def lines(database: DatabaseDep) -> JSONLinesExport:
        return JSONLinesExport(database, stmt, into=Line, batch_size=2)

    @app.get("/csv", response_class=CSVExport)
    async def table(database: DatabaseDep) -> CSVExport:
        return CSVExport(database, stmt, into=Line, batch_size=2, filename="books.csv")

    @app.get("/columns/{kind}")
    async def columns(kind: str, database: DatabaseDep) -> JSONLinesExport:
        table: Any = Book.__table__
        column = {"mapped": Book.title, "plain": table.c.title}[kind]
        return JSONLinesExport(database, select(column), into=Short)

    return app


@pytest.fixture
async def client(any_db: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with any_db.session() as session:
        for row in ROWS:
            await Books(session).create(row)
    async with running(export_app(any_db)) as client:
        yield client


async def test_a_line_of_json_for_each_row(client: httpx.AsyncClient) -> None:
    response = await apart(client.get("/lines"))

    assert response.headers["content-type"] == "application/jsonl"
    assert [json.loads(line) for line in response.text.splitlines()] == [
        {"id": 1, "name": "Emma", "subtitle": None, "details": None, "even": False},
        {"id": 2, "name": 'A "b", c\nd', "subtitle": "ü", "details": None, "even": True},
        {"id": 3, "name": "=1+1", "subtitle": None, "details": {"pages": [1]}, "even": False},
    ]


async def test_a_line_of_csv_for_each_row(client: httpx.AsyncClient) -> None:
    response = await apart(client.get("/csv"))

    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="books.csv"'
    assert list(csv.reader(io.StringIO(response.text, newline=""))) == [
        ["id", "name", "subtitle", "details", "even"],
        ["1", "Emma", "", "", "false"],
        ["2", 'A "b", c\nd', "ü", "", "true"],
        ["3", "'=1+1", "", '{"pages": [1]}', "false"],
    ]


@pytest.mark.parametrize("kind", ["mapped", "plain"])
async def test_columns_are_read_by_name(client: httpx.AsyncClient, kind: str) -> None:
    lines = (await client.get(f"/columns/{kind}")).text.splitlines()

    assert sorted(json.loads(line)["title"] for line in lines) == sorted(
        row["title"] for row in ROWS
    )


async def test_an_empty_table_is_a_header_or_nothing(any_db: Database) -> None:
    async with running(export_app(any_db)) as client:
        assert (await apart(client.get("/csv"))).text == "id,name,subtitle,details,even\r\n"
        assert (await client.get("/lines")).text == ""


async def test_what_fails_before_the_first_row_is_answered_as_usual(any_db: Database) -> None:
    unknown = select(Book).where(Book.id > 2**80)
    async with running(export_app(any_db, unknown)) as client:
        response = await apart(client.get("/lines"))

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


async def test_it_is_sent_batch_by_batch(any_db: Database) -> None:
    async with any_db.session() as session:
        for row in ROWS:
            await Books(session).create(row)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    response = JSONLinesExport(any_db, ALL, into=Line, batch_size=2)
    await response.stream_response(send)

    assert [message.get("body", b"").count(b"\n") for message in sent] == [0, 2, 1, 0]
    assert any_db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


class Number(BaseModel):
    n: int


async def peak_of(export: type[JSONLinesExport | CSVExport], db: Database, rows: int) -> int:
    """The most bytes that were held at a time while so many rows were sent."""
    first = select(literal(1).label("n")).cte(recursive=True)
    numbers = first.union_all(select(first.c.n + 1).where(first.c.n < rows))
    lines = 0

    async def send(message: Message) -> None:
        nonlocal lines
        lines += message.get("body", b"").count(b"\n")

    tracemalloc.start()
    await export(db, select(numbers.c.n), into=Number).stream_response(send)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines >= rows
    return peak


@pytest.mark.parametrize("export", [JSONLinesExport, CSVExport])
async def test_it_needs_no_more_memory_for_more_rows(
    any_db: Database, export: type[JSONLinesExport | CSVExport]
) -> None:
    await peak_of(export, any_db, 1)  # which also loads what stays

    few, many = [await peak_of(export, any_db, rows) for rows in (2000, 10_000)]

    assert many < 3_000_000
    assert many < few + 400_000  # bytes; all rows at once would be more by over ten times that


async def test_its_media_types_are_in_openapi(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]

    assert "application/jsonl" in paths["/lines"]["get"]["responses"]["200"]["content"]
    assert "text/csv" in paths["/csv"]["get"]["responses"]["200"]["content"]


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("books.csv", 'attachment; filename="books.csv"'),
        ('a "b"\r\nX: y.csv', "attachment; filename*=UTF-8''a%20%22b%22%0D%0AX%3A%20y.csv"),
        ("bücher.csv", "attachment; filename*=UTF-8''b%C3%BCcher.csv"),
    ],
)
def test_any_file_name_is_one_header(sqlite_url: str, filename: str, expected: str) -> None:
    response = CSVExport(Database(sqlite_url), ALL, into=Line, filename=filename)

    assert response.headers["content-disposition"] == expected


def test_own_headers_are_sent_along(sqlite_url: str) -> None:
    response = CSVExport(Database(sqlite_url), ALL, into=Line, headers={"X-Own": "1"})

    assert response.headers["x-own"] == "1"


@pytest.mark.parametrize("text", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "--1", "-1-1"])
def test_a_formula_is_disarmed(text: str) -> None:
    assert _cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "-5.00", "+1e9", "a=1", "", " =1", "-1E-7"])
def test_text_that_is_no_formula_stays(text: str) -> None:
    assert _cell(text) == text


@given(st.text())
def test_no_cell_begins_like_a_formula(text: str) -> None:
    cell = str(_cell(text))

    assert cell[:1] not in set("=@\t\r")
    assert cell.removeprefix("'") == text.removeprefix("'")


def test_no_batch_is_refused(sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError, match="batch_size=0 is no batch"):
        JSONLinesExport(Database(sqlite_url), ALL, into=Line, batch_size=0)
