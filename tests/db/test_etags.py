"""ETag, If-Match and If-None-Match on versioned rows (RFC 9110)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_kit.db import (
    Base,
    Database,
    IfMatch,
    IfMatchDep,
    IfNoneMatchDep,
    InvalidETagError,
    PreconditionFailedError,
    ReadSessionDep,
    RequiredIfMatchDep,
    SessionDep,
    etag,
)
from fastapi_kit.db.etags import _tags
from fastapi_kit.errors import ConfigurationError

from .library import Author, Book, BookOut, Books, Library
from .shop import build_app, running


class Named(Library):
    """Its version is not a number."""

    __tablename__ = "named"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column()
    __mapper_args__ = {  # noqa: RUF012
        **Base.__mapper_args__,
        "version_id_col": state,
        "version_id_generator": lambda _: '"é", W/ %',
    }


def books_app(db: Database) -> FastAPI:
    app = build_app(db)

    @app.get("/{book_id}")
    async def read(
        book_id: int, session: ReadSessionDep, copy: IfNoneMatchDep, response: Response
    ) -> BookOut:
        book = await Books(session).get_or_404(book_id)
        copy.check(book)
        response.headers["ETag"] = etag(book)
        return BookOut.model_validate(book)

    @app.patch("/{book_id}")
    async def rename(
        book_id: int, title: str, session: SessionDep, match: IfMatchDep, response: Response
    ) -> BookOut:
        books = Books(session)
        book = await books.get_or_404(book_id)
        match.check(book)
        await books.update(book, title=title)
        response.headers["ETag"] = etag(book)
        return BookOut.model_validate(book)

    @app.delete("/{book_id}")
    async def delete(book_id: int, session: SessionDep, match: RequiredIfMatchDep) -> None:
        books = Books(session)
        book = await books.get_or_404(book_id)
        match.check(book)
        await books.delete(book)

    return app


@pytest.fixture
async def client(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    """One book, whose version is 2."""
    async with db.session() as session:
        book = await Books(session).create(title="Emma")
        await Books(session).update(book, title="Emma, revised")
    async with running(books_app(db)) as client:
        yield client


async def rename(client: httpx.AsyncClient, *if_match: str) -> httpx.Response:
    headers = [("If-Match", value) for value in if_match]
    return await client.patch("/1?title=E", headers=headers)


async def test_a_row_has_an_etag_that_changes_with_it(client: httpx.AsyncClient) -> None:
    before = await client.get("/1")
    changed = await rename(client, before.headers["etag"])
    after = await client.get("/1")

    assert before.headers["etag"] == '"2"'
    assert changed.status_code == 200
    assert changed.headers["etag"] == after.headers["etag"] == '"3"'


@pytest.mark.parametrize(
    "if_match",
    [
        [],
        ["*"],
        [" * "],
        ['"2"'],
        ['"1", "2"'],
        ['"1"', 'W/"9", "2"'],
        [', ,"2",'],
        ['"a,b" ,\t"2"'],
    ],
)
async def test_a_state_that_the_client_names_is_changed(
    client: httpx.AsyncClient, if_match: list[str]
) -> None:
    assert (await rename(client, *if_match)).status_code == 200


@pytest.mark.parametrize("if_match", ['"1"', 'W/"2"', '""', '"2-"', '"1,2"', '"1", W/"2"'])
async def test_another_state_is_a_412_and_stays(client: httpx.AsyncClient, if_match: str) -> None:
    """A weak tag never matches: If-Match compares strongly."""
    assert (await rename(client, if_match)).status_code == 412
    assert (await client.get("/1")).json()["title"] == "Emma, revised"


async def test_a_412_is_a_problem_of_its_own(client: httpx.AsyncClient) -> None:
    response = await rename(client, '"1"')

    assert response.json()["type"] == "/problems/precondition-failed"


@pytest.mark.parametrize(
    "if_match", ["2", '"2', 'w/"2"', "", ",", '"2" "3"', '*, "2"', '"2", *', 'W/ "2"', "'2'"]
)
async def test_what_is_no_list_of_tags_is_a_400(client: httpx.AsyncClient, if_match: str) -> None:
    response = await rename(client, if_match)

    assert response.status_code == 400
    assert response.json()["type"] == "/problems/invalid-etag"


async def test_where_it_is_required_its_absence_is_a_428(client: httpx.AsyncClient) -> None:
    absent = await client.delete("/1")
    stale = await client.delete("/1", headers={"If-Match": '"1"'})
    present = await client.delete("/1", headers={"If-Match": '"2"'})

    assert absent.json()["type"] == "/problems/precondition-required"
    assert [r.status_code for r in (absent, stale, present)] == [428, 412, 200]


async def test_what_is_not_there_is_a_404_whatever_the_condition(
    client: httpx.AsyncClient,
) -> None:
    """RFC 9110 section 13.2.1: conditions count only where the answer would be a success."""
    assert (await client.patch("/9?title=E", headers={"If-Match": "*"})).status_code == 404


@pytest.mark.parametrize("copy", ['"2"', 'W/"2"', '"1", W/"2"', "*"])
async def test_a_copy_that_is_still_good_is_a_304(client: httpx.AsyncClient, copy: str) -> None:
    response = await client.get("/1", headers={"If-None-Match": copy})

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == '"2"'


async def test_a_copy_that_is_old_gets_the_new_state(client: httpx.AsyncClient) -> None:
    response = await client.get("/1", headers={"If-None-Match": '"1"'})

    assert response.json()["title"] == "Emma, revised"


async def test_of_two_clients_with_one_etag_one_wins(client: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(rename(client, '"2"') for _ in range(8)))

    statuses = sorted(response.status_code for response in responses)
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 409, 412}


async def test_all_of_it_is_in_openapi(client: httpx.AsyncClient) -> None:
    paths: dict[str, Any] = (await client.get("/openapi.json")).json()["paths"]["/{book_id}"]

    assert {"400", "412"} <= paths["patch"]["responses"].keys()
    assert "428" not in paths["patch"]["responses"]
    assert {"400", "412", "428"} <= paths["delete"]["responses"].keys()
    parameter = paths["patch"]["parameters"][2]
    assert {"name": "if-match", "in": "header", "required": False}.items() <= parameter.items()
    assert parameter["schema"]["type"] == "string"


async def test_any_version_makes_a_tag_that_can_be_sent_back(db: Database) -> None:
    async with db.session() as session:
        named = Named()
        session.add(named)
        await session.flush()

    tag = etag(named)

    assert _tags("If-Match", [tag]) == (tag,)
    IfMatch((tag,)).check(named)
    with pytest.raises(PreconditionFailedError):
        IfMatch(('"other"',)).check(named)


@pytest.mark.parametrize("item", [Author(name="Jane"), object(), Book, None])
def test_what_has_no_version_has_no_etag(item: object) -> None:
    with pytest.raises(ConfigurationError, match="has no version"):
        etag(item)


@given(st.text('"W/*, a'))
def test_any_header_is_tags_or_refused(text: str) -> None:
    try:
        tags = _tags("If-Match", [text])
    except InvalidETagError:
        return
    assert tags


@pytest.mark.parametrize(
    "header", [" " * 60_000 + "x", '"' * 59_999, "," * 60_000, 'W/"a' * 15_000]
)
def test_a_long_header_is_read_once(header: str) -> None:
    """Quadratic reading would take minutes."""
    with pytest.raises(InvalidETagError):
        _tags("If-Match", [header])
