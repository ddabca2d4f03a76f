"""PostgreSQL answers a page deep inside a listing from an index, for every shape of order."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_kit.pagination import Sorting
from fastapi_kit.pagination.position import Position

from .walking import page_at


class Base(DeclarativeBase):
    pass


class Deep(Base):
    __tablename__ = "deep"

    id: Mapped[int] = mapped_column(primary_key=True)
    even: Mapped[int]
    """Nearly unique."""
    tied: Mapped[int]
    """20 values."""
    hollow: Mapped[int | None]
    """NULL in a third of the rows."""


ROWS = 150_000
DEPTH = 100_000
SIZE = 40
SORTING = Sorting(Deep, {"even": Deep.even, "tied": Deep.tied, "hollow": Deep.hollow}, max_terms=2)


_TABLE = f"""
CREATE TABLE deep AS SELECT
    n AS id,
    (n * 7919) % {ROWS} / 2 AS even,
    n % 20 AS tied,
    CASE WHEN n % 3 > 0 THEN (n * 10007) % {ROWS} / 2 END AS hollow
FROM generate_series(1, {ROWS}) AS n
"""
_STATEMENTS = (
    "DROP TABLE IF EXISTS deep",
    _TABLE,
    "ALTER TABLE deep ADD PRIMARY KEY (id)",
    "CREATE INDEX ON deep (even, id)",
    "CREATE INDEX ON deep (tied, id)",
    "CREATE INDEX ON deep (hollow, id)",
    "CREATE INDEX ON deep (tied, even DESC, id DESC)",
    "VACUUM ANALYZE deep",
)


@pytest.fixture(scope="module")
def session(postgres_server: str) -> Iterator[Session]:
    engine = create_engine(postgres_server)
    with engine.connect() as connection:
        _fill(connection.execution_options(isolation_level="AUTOCOMMIT"))
    with Session(engine) as session:
        yield session
    engine.dispose()


def _fill(connection: Connection) -> None:
    for statement in _STATEMENTS:
        connection.execute(text(statement))


@pytest.mark.parametrize(
    "terms",
    [
        ("even",),
        ("-even",),
        ("tied", "-even"),
        ("-tied", "even"),
        ("hollow",),
        ("-hollow",),
        ("tied",),
        ("-tied",),
    ],
    ids="_".join,
)
@pytest.mark.parametrize("backward", [False, True])
def test_a_deep_page_is_read_from_an_index(
    session: Session, terms: tuple[str, ...], *, backward: bool
) -> None:
    position = _position_at(session, terms, backward=backward)

    plan = _explain(session, terms, position)

    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 200
    assert "Index Cond" in json.dumps(plan)
    assert "Seq Scan" not in json.dumps(plan)


def _position_at(session: Session, terms: tuple[str, ...], *, backward: bool) -> Position:
    keyset = SORTING.keyset(terms, session)
    order = keyset.order_by(backward=backward)
    row = session.execute(select(*keyset.columns).order_by(*order).offset(DEPTH).limit(1)).one()
    return Position(tuple(row), backward=backward)


def _explain(session: Session, terms: tuple[str, ...], position: Position) -> dict[str, Any]:
    """Give the plan of the very statement that a page is read by."""
    plans: list[dict[str, Any]] = []
    connection = session.connection()

    def explain(
        _connection: Any, cursor: Any, statement: str, parameters: Any, *_rest: Any
    ) -> None:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
        plans.append(cursor.fetchone()[0][0]["Plan"])

    event.listen(connection, "before_cursor_execute", explain)
    part = page_at(session, select(Deep), SORTING, terms, position, SIZE)
    event.remove(connection, "before_cursor_execute", explain)
    assert len(part.rows) == SIZE
    return plans[0]
