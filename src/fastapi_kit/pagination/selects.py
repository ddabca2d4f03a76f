"""Pages of what a database holds."""

from collections.abc import Sequence
from typing import Any, overload

from sqlalchemy import ColumnElement, CompoundSelect, Label, Row, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from fastapi_kit.pagination.pages import (
    AnyPage,
    AnyParams,
    Page,
    PageT,
    SkipLimitPage,
    SkipLimitPageT,
    T,
    fill_page,
)
from fastapi_kit.pagination.params import PaginationParams, SkipLimitParams
from fastapi_kit.pagination.rows import readable, refuse_blocking
from fastapi_kit.pagination.statements import T1, T2, AnyStatement, Entities, Rows, Ts, examine


@overload
async def paginate(
    session: AsyncSession, stmt: AnyStatement, params: PaginationParams, *, into: type[PageT]
) -> PageT: ...
@overload
async def paginate(
    session: AsyncSession,
    stmt: AnyStatement,
    params: SkipLimitParams,
    *,
    into: type[SkipLimitPageT],
) -> SkipLimitPageT: ...
@overload
async def paginate(
    session: AsyncSession, stmt: Select[T] | CompoundSelect[T], params: PaginationParams
) -> Page[T]: ...
@overload
async def paginate(
    session: AsyncSession, stmt: Select[T] | CompoundSelect[T], params: SkipLimitParams
) -> SkipLimitPage[T]: ...
@overload
async def paginate(
    session: AsyncSession,
    stmt: Select[T1, T2, *Ts] | CompoundSelect[T1, T2, *Ts],
    params: PaginationParams,
) -> "Page[Row[T1, T2, *Ts]]": ...
@overload
async def paginate(
    session: AsyncSession,
    stmt: Select[T1, T2, *Ts] | CompoundSelect[T1, T2, *Ts],
    params: SkipLimitParams,
) -> "SkipLimitPage[Row[T1, T2, *Ts]]": ...
async def paginate(
    session: AsyncSession, stmt: Any, params: AnyParams, *, into: type[AnyPage] | None = None
) -> AnyPage:
    """Give one page of what a statement selects, and send its ``Link`` header.

    Entities of one mapped class are ordered by their primary key where the statement's own order
    leaves ties, and each comes once however many rows a join makes of it. The total is counted
    exactly, and not counted at all where the page itself tells it.

    Args:
        session: Any `AsyncSession`, SQLModel's too.
        stmt: A select of a mapped class, of columns, or a union; without LIMIT.
        params: What the request asks for.
        into: The type of the page, such as ``Page[ItemOut]`` or a subclass of it; items are read
            by attribute, rows by column name. ``None`` leaves them as they are, unvalidated.

    Raises:
        ConfigurationError: The statement is no select, has a LIMIT of its own, or selects columns
            in no order; or ``into`` is a page of the other kind.
        pydantic.ValidationError: A row is not what ``into`` holds.
    """
    refuse_blocking(session, "paginate", "paginate_sync")
    # One hop into SQLAlchemy's greenlet serves both queries. The page is made outside it, so that
    # a relationship which was not loaded is an error here as elsewhere, not a hidden query a row.
    rows, total = await session.run_sync(_fetch, stmt, params)
    return fill_page(params, readable(rows, into), total, into)


@overload
def paginate_sync(
    session: Session, stmt: AnyStatement, params: PaginationParams, *, into: type[PageT]
) -> PageT: ...
@overload
def paginate_sync(
    session: Session, stmt: AnyStatement, params: SkipLimitParams, *, into: type[SkipLimitPageT]
) -> SkipLimitPageT: ...
@overload
def paginate_sync(
    session: Session, stmt: Select[T] | CompoundSelect[T], params: PaginationParams
) -> Page[T]: ...
@overload
def paginate_sync(
    session: Session, stmt: Select[T] | CompoundSelect[T], params: SkipLimitParams
) -> SkipLimitPage[T]: ...
@overload
def paginate_sync(
    session: Session,
    stmt: Select[T1, T2, *Ts] | CompoundSelect[T1, T2, *Ts],
    params: PaginationParams,
) -> "Page[Row[T1, T2, *Ts]]": ...
@overload
def paginate_sync(
    session: Session,
    stmt: Select[T1, T2, *Ts] | CompoundSelect[T1, T2, *Ts],
    params: SkipLimitParams,
) -> "SkipLimitPage[Row[T1, T2, *Ts]]": ...
def paginate_sync(
    session: Session, stmt: Any, params: AnyParams, *, into: type[AnyPage] | None = None
) -> AnyPage:
    """Give what `paginate` gives, for a synchronous session.

    Args:
        session: Any `Session`, SQLModel's too.
        stmt: As for `paginate`.
        params: As for `paginate`.
        into: As for `paginate`.

    Raises:
        ConfigurationError: As for `paginate`.
        pydantic.ValidationError: As for `paginate`.
    """
    rows, total = _fetch(session, stmt, params)
    return fill_page(params, readable(rows, into), total, into)


def _fetch(session: Session, stmt: object, params: AnyParams) -> tuple[Sequence[Any], int]:
    listing = examine(stmt)
    if isinstance(listing, Rows):
        return _fetch_rows(session, listing, params)
    if listing.repeats:
        return _fetch_distinct(session, listing, params)
    statement = listing.statement.limit(params.limit).offset(params.offset)
    entities = session.scalars(statement).unique().all()
    total = _told_by_page(params, len(entities))
    if total is None:
        counting = listing.unordered.with_only_columns(func.count(), maintain_column_froms=True)
        total = _count(session, counting, params, len(entities))
    return entities, total


def _fetch_rows(session: Session, listing: Rows, params: AnyParams) -> tuple[Sequence[Any], int]:
    result = session.execute(listing.statement.limit(params.limit).offset(params.offset))
    rows: Sequence[Any] = result.scalars().all() if listing.scalar else result.all()
    total = _told_by_page(params, len(rows))
    if total is None:
        counting = select(func.count()).select_from(listing.unordered.subquery())
        total = _count(session, counting, params, len(rows))
    return rows, total


def _told_by_page(params: AnyParams, found: int) -> int | None:
    """Give the total where the page is the last one or the only one, else `None`."""
    if found < params.limit and (found or not params.offset):
        return params.offset + found
    return None


def _count(session: Session, counting: Select[int], params: AnyParams, found: int) -> int:
    counted = session.scalars(counting).one()
    # Rows may have gone between the two queries; a total below what was just seen helps nobody.
    return max(counted, params.offset + found) if found else counted


def _fetch_distinct(
    session: Session, listing: Entities, params: AnyParams
) -> tuple[Sequence[Any], int]:
    # Counted first: with contains_eager() a page cut among an entity's rows would leave entities
    # with half a collection in the session.
    rows, entities = _count_rows_and_entities(session, listing)
    if rows == entities:
        statement = listing.statement.limit(params.limit).offset(params.offset)
    else:
        page = _keys_of_page(listing, params)
        statement = listing.statement.where(_key(listing.keys).in_(page))
    return session.scalars(statement).unique().all(), entities


def _key(keys: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    return keys[0] if len(keys) == 1 else tuple_(*keys)


def _count_rows_and_entities(session: Session, listing: Entities) -> tuple[int, int]:
    base = listing.unordered.with_only_columns(*listing.keys, maintain_column_froms=True)
    rows = base.subquery()
    each = select(func.count().label("n")).select_from(rows).group_by(*rows.c).subquery()
    counted = session.execute(select(func.coalesce(func.sum(each.c.n), 0), func.count(each.c.n)))
    total, entities = counted.one()
    return int(total), entities


def _keys_of_page(listing: Entities, params: AnyParams) -> Select[*tuple[Any, ...]]:
    """Select the keys of the page's entities, each at the place where it comes first."""
    named: list[Label[Any]] = [
        key.label(f"key_{number}") for number, key in enumerate(listing.keys)
    ]
    place = func.row_number().over(order_by=list(listing.order)).label("place")
    ranked = listing.unordered.with_only_columns(
        *named, place, maintain_column_froms=True
    ).subquery()
    keys: list[ColumnElement[Any]] = [ranked.c[key.name] for key in named]
    page = (
        select(*keys)
        .group_by(*keys)
        .order_by(func.min(ranked.c.place))
        .limit(params.limit)
        .offset(params.offset)
    )
    # Wrapped once more because MariaDB and MySQL take no LIMIT directly inside IN.
    return select(page.subquery())
