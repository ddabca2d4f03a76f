"""All rows of a listing in batches, for exports."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, overload

from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination.pages import T
from fastapi_kit.pagination.position import Position
from fastapi_kit.pagination.rows import refuse_blocking
from fastapi_kit.pagination.seek import Part, examine_sorted, seek
from fastapi_kit.pagination.sorting import Sorting
from fastapi_kit.pagination.statements import T1, T2, AnySelect, Ts

BATCH_SIZE = 1000  # rows


@overload
def iterate(
    session: AsyncSession,
    stmt: Select[T],
    sorting: Sorting,
    *,
    size: int = BATCH_SIZE,
    sort: Sequence[str] | None = None,
) -> AsyncIterator[Sequence[T]]: ...
@overload
def iterate(
    session: AsyncSession,
    stmt: Select[T1, T2, *Ts],
    sorting: Sorting,
    *,
    size: int = BATCH_SIZE,
    sort: Sequence[str] | None = None,
) -> "AsyncIterator[Sequence[Row[T1, T2, *Ts]]]": ...
async def iterate(
    session: AsyncSession,
    stmt: Any,
    sorting: Sorting,
    *,
    size: int = BATCH_SIZE,
    sort: Sequence[str] | None = None,
) -> AsyncIterator[Sequence[Any]]:
    """Give all rows of a statement, a batch at a time, in constant memory.

    Each batch is a query of its own that begins where the one before ended, so that no cursor of
    the database stays open and rows may come and go meanwhile. Rows that stand still come once.

    Args:
        session: Any `AsyncSession`, SQLModel's too. What it has loaded is let go with the batch,
            unless it was changed and not flushed.
        stmt: A select of the sorted entity, or of columns among which are those that the order
            needs; without ORDER BY and LIMIT.
        sorting: Orders the rows.
        size: The most rows in a batch.
        sort: Terms of ``sorting``; `None` means its default.

    Raises:
        ConfigurationError: The statement cannot be sorted, ``size`` is below 1, or ``sort`` is not
            in ``sorting``.
    """
    refuse_blocking(session, "iterate", "iterate_sync")
    terms = _terms(sorting, size, sort)
    position: Position | None = None
    while True:
        part = await session.run_sync(_batch, stmt, sorting, terms, position, size)
        if part.rows:
            yield part.rows
        if part.after is None:
            return
        position = part.after


@overload
def iterate_sync(
    session: Session,
    stmt: Select[T],
    sorting: Sorting,
    *,
    size: int = BATCH_SIZE,
    sort: Sequence[str] | None = None,
) -> Iterator[Sequence[T]]: ...
@overload
def iterate_sync(
    session: Session,
    stmt: Select[T1, T2, *Ts],
    sorting: Sorting,
    *,
    size: int = BATCH_SIZE,
    sort: Sequence[str] | None = None,
) -> "Iterator[Sequence[Row[T1, T2, *Ts]]]": ...
def iterate_sync(
    session: Session,
    stmt: Any,
    sorting: Sorting,
    *,
    size: int = BATCH_SIZE,
    sort: Sequence[str] | None = None,
) -> Iterator[Sequence[Any]]:
    """Give what `iterate` gives, for a synchronous session."""
    terms = _terms(sorting, size, sort)
    position: Position | None = None
    while True:
        part = _batch(session, stmt, sorting, terms, position, size)
        if part.rows:
            yield part.rows
        if part.after is None:
            return
        position = part.after


def _terms(sorting: Sorting, size: int, sort: Sequence[str] | None) -> tuple[str, ...]:
    terms = sorting.default if sort is None else tuple(sort)
    if fault := sorting.fault(terms):
        raise ConfigurationError(f"sort={terms!r} cannot be sorted by; use {fault}")
    if size < 1:
        raise ConfigurationError(f"size={size} is below 1")
    return terms


def _batch(
    session: Session,
    stmt: AnySelect,
    sorting: Sorting,
    terms: tuple[str, ...],
    position: Position | None,
    size: int,
) -> Part:
    listing = examine_sorted(stmt, sorting)
    return seek(session, listing, sorting.keyset(terms, session), position, size)
