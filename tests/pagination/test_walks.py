"""Walks over random tables in random orders, while the tables change."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, delete, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_kit.pagination import Sorting, SortKey, iterate_sync
from fastapi_kit.pagination.seek import Part

from .walking import page_at, pages_back, pages_of, rows_of


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "thing"

    left: Mapped[int] = mapped_column(primary_key=True)
    right: Mapped[str] = mapped_column("place", primary_key=True)
    a: Mapped[int]
    b: Mapped[int | None]
    c: Mapped[str | None] = mapped_column("renamed")


SORTING = Sorting(
    Thing,
    {
        "a": Thing.a,
        "b": Thing.b,
        "c": Thing.c,
        "first": SortKey(Thing.b, nulls="first"),
        "last": SortKey(Thing.b, nulls="last"),
        "left": Thing.left,
        "right": Thing.right,
    },
    max_terms=4,
)

few = st.integers(0, 2)
rows = st.fixed_dictionaries(
    {
        "left": few,
        "right": st.text("ab", max_size=2),
        "a": few,
        "b": st.none() | few,
        "c": st.none() | st.sampled_from(["", "x", "X", "y"]),
    }
)
tables = st.lists(rows, max_size=20, unique_by=lambda row: (row["left"], row["right"]))
orders = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "first", "last", "left", "right"]), st.booleans()),
    max_size=4,
    unique_by=lambda term: term[0],
).map(lambda terms: tuple(f"{'-' * down}{name}" for name, down in terms))
sizes = st.integers(1, 6)
modest = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('walks')}/test.db"
    else:
        url = request.getfixturevalue("postgres_server")
    engine = create_engine(url)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    Base.metadata.drop_all(engine)
    engine.dispose()


def fill(session: Session, table: Sequence[dict[str, Any]]) -> None:
    session.rollback()
    if table:
        session.execute(insert(Thing), table)


def keys(things: Sequence[Any]) -> list[tuple[int, str]]:
    return [(thing.left, thing.right) for thing in things]


@modest
@given(table=tables, terms=orders, size=sizes)
def test_pages_are_the_listing_cut_up_both_ways(
    session: Session, table: list[dict[str, Any]], terms: tuple[str, ...], size: int
) -> None:
    """Forward and back give the same pages, which together are what ORDER BY gives."""
    fill(session, table)
    order = SORTING.keyset(terms, session).order_by(backward=False)
    expected = keys(session.scalars(select(Thing).order_by(*order)).all())

    pages = pages_of(session, select(Thing), SORTING, terms, size=size)
    back = pages_back(session, select(Thing), SORTING, terms, pages[-1], size=size)

    assert keys(rows_of(pages)) == expected
    assert all(len(page.rows) == size for page in pages[:-1])
    assert [keys(page.rows) for page in back] == [keys(page.rows) for page in pages[:-1]]
    assert [page.after for page in back] == [page.after for page in pages[:-1]]
    assert pages[0].before is None


@modest
@given(table=tables, terms=orders, size=sizes, threshold=few)
def test_filters_and_columns_do_not_change_the_walk(
    session: Session,
    table: list[dict[str, Any]],
    terms: tuple[str, ...],
    size: int,
    threshold: int,
) -> None:
    fill(session, table)
    stmt = select(Thing.left, Thing.right, Thing.a, Thing.b, Thing.c).where(Thing.a >= threshold)
    order = SORTING.keyset(terms, session).order_by(backward=False)
    expected = session.execute(stmt.order_by(*order)).all()

    pages = pages_of(session, stmt, SORTING, terms, size=size)

    assert rows_of(pages) == expected
    batches = iterate_sync(session, stmt, SORTING, size=size, sort=terms)
    assert [row for batch in batches for row in batch] == expected


changes = st.lists(
    st.tuples(st.sampled_from(["insert", "delete", "update"]), rows), min_size=1, max_size=4
)


@modest
@given(table=tables, terms=orders, size=sizes, data=st.data(), backward=st.booleans())
def test_rows_that_stand_still_come_once_while_others_change(
    session: Session,
    table: list[dict[str, Any]],
    terms: tuple[str, ...],
    size: int,
    data: st.DataObject,
    *,
    backward: bool,
) -> None:
    fill(session, table)
    touched: set[tuple[int, str]] = set()
    start = pages_of(session, select(Thing), SORTING, terms, size=size)[-1] if backward else None

    def step(position: Any) -> Part:
        for change in data.draw(changes):
            touched.add(apply(session, *change))
        return page_at(session, select(Thing), SORTING, terms, position, size)

    seen = keys(start.rows) if start else []
    position = start.before if start else None
    while not seen or position is not None:
        part = step(position)
        seen += keys(part.rows)
        position = part.before if backward else part.after
        if position is None:
            break

    still = [key for key in keys_of(table) if key not in touched]
    assert [key for key in still if seen.count(key) != 1] == []


def keys_of(table: Sequence[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(row["left"], row["right"]) for row in table]


def apply(session: Session, kind: str, row: dict[str, Any]) -> tuple[int, str]:
    """Change one row by SQL, as another client would."""
    here = (Thing.left == row["left"]) & (Thing.right == row["right"])
    values = {name: row[name] for name in ("a", "b", "c")}
    if kind == "delete":
        session.execute(delete(Thing).where(here))
    elif session.scalar(select(Thing.left).where(here)) is not None:
        session.execute(update(Thing).where(here).values(values))
    elif kind == "insert":
        session.execute(insert(Thing).values(row))
    session.expire_all()
    return row["left"], row["right"]
