"""Repositories: what they read, create, change and delete, and that they never commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict, Field, computed_field
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError, InvalidRequestError, MultipleResultsFound
from sqlalchemy.orm import joinedload, selectinload
from sqlmodel import col

from fastapi_kit.db import Database, ReadSessionDep, Repository, SessionDep
from fastapi_kit.errors import ConfigurationError, NotFoundError
from fastapi_kit.pagination import (
    CursorPage,
    CursorPaginator,
    CursorQuery,
    CursorSigner,
    Page,
    PaginationDep,
    SkipLimitDep,
    SkipLimitPage,
    Sorting,
)

from .library import Author, Book, BookOut, Books, Card, Cards, Seats
from .shop import build_app, running


class NoSuchBookError(NotFoundError):
    type = "/problems/no-such-book"


class NamedBooks(Repository[Book]):
    model = Book
    not_found = NoSuchBookError


@pytest.fixture
async def library(db: Database) -> Database:
    async with db.session() as session:
        session.add(Author(id=1, name="Jane"))
        await session.flush()
        for number in range(1, 6):
            await Books(session).create(title=f"Book {number}", author_id=1)
    return db


@pytest.fixture
async def books(library: Database) -> AsyncIterator[Books]:
    async with library.session() as session:
        yield Books(session)


async def test_get_gives_the_row_or_none(books: Books) -> None:
    found = await books.get(1)

    assert found is not None
    assert found.title == "Book 1"
    assert await books.get(9) is None


async def test_get_or_404_gives_the_row(books: Books) -> None:
    assert (await books.get_or_404(1)).title == "Book 1"


@pytest.mark.parametrize(
    ("kind", "type_"), [(Books, "about:blank"), (NamedBooks, "/problems/no-such-book")]
)
async def test_get_or_404_is_a_404_of_its_own_kind(
    library: Database, kind: type[Repository[Book]], type_: str
) -> None:
    app = build_app(library)

    @app.get("/{book_id}")
    async def read(book_id: int, session: ReadSessionDep) -> BookOut:
        return BookOut.model_validate(await kind(session).get_or_404(book_id))

    async with running(app) as client:
        found, missing = await client.get("/1"), await client.get("/9")

    assert found.json() == {"id": 1, "title": "Book 1"}
    assert (missing.status_code, missing.json()["type"]) == (404, type_)


async def test_a_key_of_several_columns(db: Database) -> None:
    async with db.session() as session:
        seat = await Seats(session).create(row=3, number=7)

        assert await Seats(session).get((3, 7)) is seat
        assert await Seats(session).get({"row": 3, "number": 7}) is seat


async def test_get_loads_along_what_is_asked_for(books: Books) -> None:
    book = await books.get_or_404(1, options=[selectinload(Book.author)])

    assert book.author is not None
    assert book.author.name == "Jane"


async def add_word(db: Database, read: asyncio.Event) -> None:
    async with db.session() as session:
        book = await Books(session).get_or_404(1, for_update=True)
        read.set()
        await asyncio.sleep(0)
        book.title += " more"


async def test_get_for_update_waits_for_another_change(library: Database) -> None:
    read = asyncio.Event()

    await asyncio.gather(add_word(library, read), add_word(library, read))

    async with library.read_session() as session:
        assert (await Books(session).get_or_404(1)).title == "Book 1 more more"


async def test_one_or_none(books: Books) -> None:
    one = await books.one_or_none(select(Book).where(Book.title == "Book 2"))

    assert one is not None
    assert one.id == 2
    assert await books.one_or_none(select(Book).where(Book.title == "?")) is None
    with pytest.raises(MultipleResultsFound):
        await books.one_or_none(select(Book))


async def test_all_gives_the_statements_rows_or_the_tables(books: Books) -> None:
    some = await books.all(select(Book).where(Book.id > 3).order_by(Book.id.desc()))

    assert [book.id for book in some] == [5, 4]
    assert len(await books.all()) == 5


class Authors(Repository[Author]):
    model = Author


async def test_all_gives_each_object_once(library: Database) -> None:
    async with library.read_session() as session:
        authors = await Authors(session).all(select(Author).options(joinedload(Author.books)))

    assert [len(author.books) for author in authors] == [5]


async def test_count_and_exists(books: Books) -> None:
    late = select(Book).where(Book.id > 3).order_by(Book.title)

    assert await books.count() == 5
    assert await books.count(late) == 2
    assert await books.count(late.limit(1)) == 1
    assert await books.count(select(Book.author_id).distinct()) == 1
    assert await books.exists(late) is True
    assert await books.exists(late.where(Book.id > 5)) is False


async def test_stream_gives_row_after_row(books: Books) -> None:
    ids = [book.id async for book in books.stream(batch_size=2)]
    some = [book.id async for book in books.stream(select(Book).where(Book.id > 3))]

    assert (sorted(ids), sorted(some)) == ([1, 2, 3, 4, 5], [4, 5])


async def test_every_driver_streams(any_db: Database) -> None:
    async with any_db.session() as session:
        books = Books(session)
        for title in "abc":
            await books.create(title=title)

        assert sorted([book.title async for book in books.stream(batch_size=2)]) == list("abc")


async def test_a_stream_that_is_left_frees_its_cursor(library: Database) -> None:
    async with library.session() as session:
        books = Books(session)
        async with aclosing(books.stream(batch_size=1)) as stream:
            async for _ in stream:
                break
        await books.create(title="After")

    assert library.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_create_gives_key_and_defaults(db: Database) -> None:
    async with db.session() as session:
        book = await Books(session).create({"title": "Emma"}, subtitle="A novel")

        assert (book.id, book.version, book.subtitle) == (1, 1, "A novel")


class Details(BaseModel):
    pages: int = 0
    language: str = "en"


class BookIn(BaseModel):
    model_config = ConfigDict(extra="allow", serialize_by_alias=True)

    title: str = Field("Untitled", serialization_alias="name")
    subtitle: str | None = None
    details: Details | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def length(self) -> int:
        return len(self.title)


async def test_create_takes_the_declared_fields_of_a_model(db: Database) -> None:
    """With defaults; not what the client adds, nor what is computed, and by their own names."""
    data = BookIn.model_validate({"subtitle": "x", "details": {"pages": 9}, "version": 99})
    assert data.length == len("Untitled")

    async with db.session() as session:
        book = await Books(session).create(data, subtitle="wins")

    assert (book.title, book.subtitle, book.version) == ("Untitled", "wins", 1)
    assert book.details == {"pages": 9, "language": "en"}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({}, ("Emma", "A novel", {"pages": 9})),
        ({"title": "E"}, ("E", "A novel", {"pages": 9})),
        ({"subtitle": None}, ("Emma", None, {"pages": 9})),
        ({"details": {}}, ("Emma", "A novel", {"pages": 0, "language": "en"})),
        ({"details": None, "version": 99, "author_id": 7}, ("Emma", "A novel", None)),
    ],
)
async def test_a_patch_leaves_what_is_absent_and_null_is_null(
    db: Database, patch: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    app = build_app(db)

    @app.patch("/")
    async def change(data: BookIn, session: SessionDep) -> list[Any]:
        books = Books(session)
        book = await books.create(title="Emma", subtitle="A novel", details={"pages": 9})
        await books.update(book, data)
        await session.refresh(book)
        return [book.title, book.subtitle, book.details, book.author_id]

    async with running(app) as client:
        response = await client.patch("/", json=patch)

    assert response.json() == [*expected, None]


class Rename(BaseModel):
    title: str | None = None


async def test_null_where_there_must_be_a_value_is_a_422(db: Database) -> None:
    app = build_app(db)

    @app.patch("/")
    async def change(data: Rename, session: SessionDep) -> None:
        await Books(session).update(await Books(session).create(title="Emma"), data)

    async with running(app) as client:
        assert (await client.patch("/", json={"title": None})).status_code == 422


async def test_update_takes_mappings_names_and_properties(books: Books) -> None:
    book = await books.get_or_404(1)

    changed = await books.update(book, {"subtitle": "a"}, shouted="EMMA")

    assert changed is book
    assert (book.shouted, book.subtitle) == ("EMMA", "a")


async def test_a_misspelt_name_is_refused(books: Books) -> None:
    book = await books.get_or_404(1)

    with pytest.raises(TypeError, match=r"Book has no attribute \['titel'\]"):
        await books.update(book, titel="x")
    with pytest.raises(TypeError, match="titel"):
        await books.create(titel="x")


async def test_a_misspelt_name_is_refused_for_sqlmodel(db: Database) -> None:
    async with db.session() as session:
        with pytest.raises(TypeError, match=r"Card has no attribute \['holdr'\]"):
            await Cards(session).create(holdr="Ann")


async def test_sqlmodel_models_are_read_changed_and_deleted(db: Database) -> None:
    async with db.session() as session:
        cards = Cards(session)
        card = await cards.create(Card(holder="Ann"))
        await cards.update(card, {"holder": "Bea"})
        assert await cards.count(select(Card).where(col(Card.holder) == "Bea")) == 1
        await cards.delete(card)
        assert await cards.get(card.id) is None


async def test_delete_removes_the_row(db: Database) -> None:
    async with db.session() as session:
        seats = Seats(session)
        await seats.delete(await seats.create(row=1, number=1))
        assert await seats.all() == []


async def test_it_never_commits(library: Database) -> None:
    commits: list[object] = []
    event.listen(library.engine.sync_engine, "commit", commits.append)

    async def work() -> None:
        async with library.session() as session:
            books = Books(session)
            await books.create(title="x")
            await books.update(await books.get_or_404(1), title="y")
            await books.delete(await books.get_or_404(2))
            raise KeyError

    with pytest.raises(KeyError):
        await work()

    assert commits == []
    async with library.read_session() as session:
        titles = [book.title for book in await Books(session).all(select(Book).order_by(Book.id))]
    assert titles == [f"Book {number}" for number in range(1, 6)]


async def test_a_session_that_cannot_write_serves_for_reading(library: Database) -> None:
    async with library.read_session() as session:
        assert await Books(session).count() == 5


async def test_a_route_can_ask_for_a_repository(library: Database) -> None:
    app = build_app(library)

    @app.get("/")
    async def count(books: Annotated[Books, Depends(Books)], same: SessionDep) -> tuple[int, bool]:
        return await books.count(), books.session is same

    async with running(app) as client:
        assert (await client.get("/")).json() == [5, True]


async def test_a_savepoint_undoes_its_own_part_only(books: Books) -> None:
    async def half() -> None:
        async with books.session.begin_nested():
            await books.create(id=1, title="Taken")

    await books.create(title="Before")
    books.session.expunge_all()
    with pytest.raises(IntegrityError):
        await half()
    await books.create(title="After")

    assert {book.title for book in await books.all()} >= {"Before", "After", "Book 1"}


def paged_app(db: Database) -> FastAPI:
    app = build_app(db)
    sorting = Sorting(Book, {"title": Book.title}, default=("-title",))
    by_cursor = CursorPaginator(sorting, signer=CursorSigner("0" * 32), size=2)
    late = select(Book).where(Book.id > 1)

    @app.get("/pages")
    async def pages(params: PaginationDep, session: ReadSessionDep) -> Page[BookOut]:
        return await Books(session).page(params, into=Page[BookOut])

    @app.get("/parts")
    async def parts(params: SkipLimitDep, session: ReadSessionDep) -> SkipLimitPage[BookOut]:
        return await Books(session).page(params, late, into=SkipLimitPage[BookOut])

    @app.get("/cursors")
    async def cursors(
        query: Annotated[CursorQuery[Book], Depends(by_cursor)], session: ReadSessionDep
    ) -> CursorPage[BookOut]:
        return await Books(session).page(query, late, into=CursorPage[BookOut], scope="late")

    return app


async def test_pages_by_number_skip_and_cursor(library: Database) -> None:
    async with running(paged_app(library)) as client:
        page = (await client.get("/pages?size=2&page=3")).json()
        part = (await client.get("/parts?skip=3&limit=2")).json()
        first = (await client.get("/cursors")).json()
        second = (await client.get("/cursors", params={"cursor": first["next"]})).json()

    assert ([item["id"] for item in page["items"]], page["total"]) == ([5], 5)
    assert ([item["id"] for item in part["items"]], part["total"]) == ([5], 4)
    assert [item["id"] for item in (*first["items"], *second["items"])] == [5, 4, 3, 2]


@pytest.mark.parametrize("model", [BookOut, int, "Book"])
def test_a_model_without_a_table_is_refused(model: Any) -> None:
    with pytest.raises(ConfigurationError, match="is not a mapped class"):
        type("Wrong", (Repository,), {"model": model})


def test_a_base_of_repositories_needs_no_model() -> None:
    class Common(Repository[Any]):
        pass

    assert not hasattr(Common, "model")


async def test_a_repository_of_a_closed_session_is_closed(db: Database) -> None:
    async with db.session() as session:
        books = Books(session)

    with pytest.raises(InvalidRequestError):
        await books.count()
