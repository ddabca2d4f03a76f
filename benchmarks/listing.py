"""The table that pages are made of, and how it is filled."""

import sqlite3
from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import BigInteger, Index, Integer, String, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import CreateIndex, CreateTable

from benchmarks.databases import connect


class Base(DeclarativeBase):
    """Of these tables alone."""


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    category: Mapped[str] = mapped_column(String(20))
    price: Mapped[int]
    rating: Mapped[int | None]
    shelf: Mapped[int]
    created_at: Mapped[datetime]


class ItemOut(BaseModel):
    id: int
    name: str
    category: str
    price: int
    rating: int | None
    created_at: datetime


# One for each order that pages are asked for in; the primary key is the last term of all.
INDEXES = (
    Index("ix_created", Item.created_at, Item.id),
    Index("ix_price", Item.price.desc(), Item.created_at, Item.id),
    Index("ix_rating", Item.rating, Item.id),
    Index("ix_shelf", Item.shelf, Item.created_at.desc(), Item.id.desc()),
)

# About a hundred items share a price; three of ten have no rating; each of 20 shelves holds the
# twentieth part of all.
COLUMNS = """
    n,
    'Item ' || n,
    'category ' || (n % 10),
    n * 7919 % 10007,
    CASE WHEN n % 10 < 3 THEN NULL ELSE n * 31 % 1009 END,
    n * 13 % 20
"""
# With microseconds, as SQLAlchemy writes them: SQLite compares text, and a cursor by hand would
# stumble over a mixture.
SQLITE = f"""
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
    INSERT INTO items
    SELECT {COLUMNS}, strftime('%Y-%m-%d %H:%M:%S.000000', '2024-01-01', '+' || n || ' seconds')
    FROM numbers
"""
POSTGRES = f"""
    INSERT INTO items
    SELECT {COLUMNS}, timestamptz '2024-01-01 00:00Z' + n * interval '1 second'
    FROM generate_series(bigint '1', {{rows}}) AS n
"""


def fill(url: str, rows: int) -> None:
    """Make the table with its indexes and this many rows."""
    at = make_url(url)
    # An engine only tells the dialect's spelling here; nothing connects by it.
    dialect = create_async_engine(url).dialect
    table = str(CreateTable(Item.__table__).compile(dialect=dialect))  # type: ignore[arg-type]
    indexes = [str(CreateIndex(index).compile(dialect=dialect)) for index in INDEXES]
    if at.get_backend_name() == "sqlite":
        with sqlite3.connect(str(at.database)) as file:
            file.execute(table)
            file.execute(SQLITE, (rows,))
            for index in indexes:
                file.execute(index)
            file.execute("ANALYZE")
        file.close()
        return
    with connect(at) as server:
        server.execute(table.encode())
        server.execute(POSTGRES.format(rows=rows).encode())
        for index in indexes:
            server.execute(index.encode())
        server.execute("VACUUM ANALYZE items")
