"""Times of change, versions, and rows that are deleted but stay."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import MetaData, Select, delete, func, select, text, update
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    aliased,
    joinedload,
    mapped_column,
    selectinload,
)
from sqlalchemy.orm.exc import StaleDataError

from fastapi_kit.db import (
    Base,
    Database,
    SessionDep,
    VersionMixin,
    database_errors,
    with_deleted,
)
from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination import Sorting, iterate

from .library import Author, Book, Books, Card, Cards
from .shop import build_app, running


@pytest.fixture
async def library(db: Database) -> Database:
    """One author; of two books one is deleted."""
    async with db.session() as session:
        session.add(Author(id=1, name="Jane"))
        books = Books(session)
        await books.create(id=1, title="Emma", author_id=1)
        await books.delete(await books.create(id=2, title="Sanditon", author_id=1))
    return db


def is_now(moment: datetime) -> bool:
    return moment.tzinfo is UTC and abs(datetime.now(UTC) - moment) < timedelta(minutes=1)


async def test_times_are_known_after_a_flush(db: Database) -> None:
    async with db.session() as session:
        books = Books(session)
        book = await books.create(title="Emma")
        created_at, first = book.created_at, book.updated_at
        await books.update(book, title="Emma, revised")

        assert is_now(created_at)
        assert book.created_at == created_at
        assert book.updated_at > first


async def test_rows_inserted_past_sqlalchemy_have_times_and_a_version(db: Database) -> None:
    async with db.session() as session:
        await session.execute(text("INSERT INTO books (title) VALUES ('Emma')"))
        book = (await session.scalars(select(Book))).one()

    assert book.version == 1
    assert is_now(book.created_at)
    assert is_now(book.updated_at)


async def test_a_version_counts_changes(db: Database) -> None:
    async with db.session() as session:
        books = Books(session)
        book = await books.create(title="Emma")
        versions = [book.version]
        for title in ("a", "b"):
            await books.update(book, title=title)
            versions.append(book.version)

    assert versions == [1, 2, 3]


async def change(db: Database, title: str, read: asyncio.Barrier) -> None:
    async with db.session() as session:
        book = await session.get_one(Book, 1)
        await read.wait()
        book.title = title


async def test_of_two_changes_to_one_state_the_second_is_refused(postgres_db: Database) -> None:
    """SQLite has one writer at a time; there the state is one that an earlier session read."""
    async with postgres_db.session() as session:
        await Books(session).create(id=1, title="Emma")
    read = asyncio.Barrier(2)

    results = await asyncio.gather(
        *(change(postgres_db, title, read) for title in "ab"), return_exceptions=True
    )

    [error] = [result for result in results if result is not None]
    assert isinstance(error, StaleDataError)
    async with postgres_db.read_session() as session:
        assert (await session.get_one(Book, 1)).version == 2


@pytest.mark.parametrize("meanwhile", [delete(Book), update(Book).values(version=Book.version + 1)])
async def test_a_stale_version_is_a_409(library: Database, meanwhile: Any) -> None:
    app = build_app(library)

    @app.post("/")
    async def route(session: SessionDep) -> None:
        book = await session.get_one(Book, 1)
        await session.execute(meanwhile.execution_options(synchronize_session=False))
        await Books(session).update(book, title="Late")

    async with running(app) as client:
        response = await client.post("/")

    assert response.status_code == 409
    assert response.json()["type"] == "/problems/stale-version"


def test_a_version_that_nothing_checks_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"class Wrong\(VersionMixin, Base\)"):

        class Wrong(Base, VersionMixin):
            __tablename__ = "wrong"
            metadata = MetaData()
            id: Mapped[int] = mapped_column(primary_key=True)


def test_a_base_without_mapper_arguments_will_do() -> None:
    class Plain(DeclarativeBase):
        pass

    class Thing(VersionMixin, Plain):
        __tablename__ = "things"
        id: Mapped[int] = mapped_column(primary_key=True)

    assert Thing.__mapper__.version_id_col is Thing.__table__.c.version


SEEN_BY: dict[str, Select[Any]] = {
    "an entity": select(Book.id),
    "columns": select(Book.title),
    "a count": select(Book.id).where(select(func.count(Book.id)).scalar_subquery() > 1),
    "an alias": select(aliased(Book).id),
    "a join": select(Author.id).join(Author.books).where(Book.id == 2),
    "an exists": select(Author.id).where(Author.books.any(Book.id == 2)),
    "a subquery": select(select(Book.id).subquery().c.id),
    "a union": select(Book.id).union_all(select(Book.id).where(Book.id == 2)),  # type: ignore[dict-item]
}
VISIBLE = {"a count": 0, "a join": 0, "an exists": 0}


@pytest.mark.parametrize("name", SEEN_BY)
async def test_a_deleted_row_is_not_seen_by(name: str, library: Database) -> None:
    async with library.read_session() as session:
        rows = (await session.execute(SEEN_BY[name])).all()

    assert len(rows) == VISIBLE.get(name, 1)


@pytest.mark.parametrize("terms", [(), ("-title", "subtitle"), ("subtitle",)])
async def test_deleted_rows_take_no_place_on_a_page(db: Database, terms: tuple[str, ...]) -> None:
    """Not within the keys that a page in mixed order is made of, either."""
    keys = {"title": Book.title, "subtitle": Book.subtitle}
    sorting = Sorting(Book, keys, max_terms=2)
    async with db.session() as session:
        for n in range(1, 21):
            book = Book(title=str(n % 3), subtitle=str(n % 4) if n % 4 else None)
            session.add(book)
            if n % 2:
                book.mark_deleted()

    async with db.read_session() as session:
        batches = [b async for b in iterate(session, select(Book), sorting, size=3, sort=terms)]

    assert [len(batch) for batch in batches] == [3, 3, 3, 1]
    assert len({book.id for batch in batches for book in batch}) == 10


async def test_a_deleted_row_is_neither_got_nor_changed(library: Database) -> None:
    async with library.session() as session:
        assert await session.get(Book, 2) is None
        assert await Books(session).get(2) is None
        changed = await session.execute(update(Book).values(title="x"))
        deleted = await session.execute(delete(Book))

    assert (changed.rowcount, deleted.rowcount) == (1, 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("loader", [joinedload, selectinload])
async def test_a_deleted_row_is_not_in_relationships(library: Database, loader: Any) -> None:
    by = loader(Author.books)
    async with library.read_session() as session:
        author = (await session.scalars(select(Author).options(by))).unique().one()
        assert [book.id for book in author.books] == [1]
        session.expunge_all()
        author = (await session.scalars(with_deleted(select(Author)).options(by))).unique().one()
        assert [book.id for book in author.books] == [1, 2]


async def test_a_relationship_loaded_later_follows_its_statement(library: Database) -> None:
    async def books_of(stmt: Select[Author]) -> list[int]:
        async with library.read_session() as session:
            author = (await session.scalars(stmt)).one()
            return await session.run_sync(lambda _: sorted(book.id for book in author.books))

    assert await books_of(select(Author)) == [1]
    assert await books_of(with_deleted(select(Author))) == [1, 2]


async def test_a_relationship_of_a_new_object_is_filtered_too(db: Database) -> None:
    async with db.session() as session:
        author = Author(name="Jane")
        session.add(author)
        await session.flush()
        books = Books(session)
        await books.delete(await books.create(title="Sanditon", author_id=author.id))
        await session.refresh(author, ["books"])

        assert author.books == []


async def test_what_was_just_deleted_is_gone_and_can_be_refreshed(library: Database) -> None:
    async with library.session() as session:
        books = Books(session)
        book = await books.get_or_404(1)
        await books.delete(book)

        assert await books.get(1) is None
        assert await books.all() == []
        await session.refresh(book)
        assert is_now(book.deleted_at or datetime.min.replace(tzinfo=UTC))


async def test_a_row_deleted_twice_keeps_its_time(library: Database) -> None:
    async with library.session() as session:
        books = Books(session)
        book = (await session.scalars(with_deleted(select(Book)).where(Book.id == 2))).one()
        before = book.deleted_at
        await books.delete(book)

        assert book.deleted_at == before


async def test_a_deleted_row_can_be_seen_and_come_back(library: Database) -> None:
    async with library.session() as session:
        book = (await session.scalars(with_deleted(select(Book)).where(Book.id == 2))).one()
        book.deleted_at = None

    async with library.read_session() as session:
        assert len(await Books(session).all()) == 2


async def test_session_delete_removes_a_row_for_good(library: Database) -> None:
    async with library.session() as session:
        await session.delete(await session.get_one(Book, 1))

    async with library.read_session() as session:
        assert await session.scalar(text("SELECT count(*) FROM books")) == 1


async def test_sqlmodel_has_the_mixins_too(db: Database) -> None:
    async with db.session() as session:
        cards = Cards(session)
        card = await cards.create(holder="Ann")
        await cards.update(card, holder="Bea")
        versions = card.version
        await cards.delete(card)

        assert versions == 2
        assert is_now(card.updated_at)
        assert await cards.all() == []
        assert (await session.scalars(with_deleted(select(Card)))).all() == [card]


async def test_a_stale_sqlmodel_is_refused(db: Database) -> None:
    async with db.session() as session:
        card = await Cards(session).create(holder="Ann")
        await session.execute(text("UPDATE card SET version = 7"))

        with pytest.raises(StaleDataError) as caught:
            await Cards(session).update(card, holder="Bea")

        await session.rollback()
    assert str(database_errors()(caught.value)).startswith("409: This was changed")
