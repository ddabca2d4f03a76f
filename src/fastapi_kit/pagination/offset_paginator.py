"""Pages by number, sorted as the request asks, and counted as far as the listing is worth it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, overload

from fastapi import Response
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination.counts import Count
from fastapi_kit.pagination.keyset import Keyset
from fastapi_kit.pagination.links import LinkTarget, link_header_responses
from fastapi_kit.pagination.pages import CountedPage, CountedPageT, Page, PageT, T, Total
from fastapi_kit.pagination.parameters import (
    DEFAULT_SIZE,
    INT64_MAX,
    MAX_OFFSET,
    MAX_SIZE,
    check_bounds,
    page_too_far,
    signature,
    target,
    whole_number,
)
from fastapi_kit.pagination.params import PaginationParams
from fastapi_kit.pagination.rows import readable, refuse_blocking
from fastapi_kit.pagination.seek import (
    examine_sorted,
    keys_of_page,
    refuse_unselected,
    where_key_in,
)
from fastapi_kit.pagination.sort_parameter import read_terms, sort_parameter
from fastapi_kit.pagination.sorting import Sorting
from fastapi_kit.pagination.statements import AnySelect, Unordered


@dataclass(frozen=True)
class OffsetPaginator:
    """A dependency that gives an `OffsetQuery` from ``?page=&size=&sort=``.

    Instances with the same arguments are equal, so ``app.dependency_overrides`` finds them.

    Args:
        sorting: By what the listing may be sorted.
        size: Items on a page when the request does not say.
        max_size: The most items that a request may ask for.
        max_offset: The most items that may stand before a page; what a database skips, it reads.
        count: How much of the listing is counted.

    Raises:
        ConfigurationError: A bound is below its lowest, ``size`` is over ``max_size``, or the
            numbers could exceed what databases hold (64 bits).
    """

    sorting: Sorting
    size: int = field(default=DEFAULT_SIZE, kw_only=True)
    max_size: int = field(default=MAX_SIZE, kw_only=True)
    max_offset: int = field(default=MAX_OFFSET, kw_only=True)
    count: Count = field(default=Count.exact, kw_only=True)

    def __post_init__(self) -> None:
        check_bounds(
            max_size=(self.max_size, 1, INT64_MAX - 1),
            size=(self.size, 1, self.max_size),
            max_offset=(self.max_offset, 0, INT64_MAX - self.max_size - 1),
        )
        given = signature(
            whole_number("page", 1, 1, self.max_offset + 1, "Number of the page, from 1."),
            whole_number("size", self.size, 1, self.max_size, "Items on a page."),
            sort_parameter(self.sorting),
        )
        object.__setattr__(self, "__signature__", given)

    @property
    def responses(self) -> dict[int | str, dict[str, Any]]:
        """What documents the ``Link`` header, for a route's ``responses=``."""
        return link_header_responses()

    async def __call__(
        self, connection: HTTPConnection, response: Response, page: int, size: int, sort: list[str]
    ) -> "OffsetQuery[Any]":
        """Give the page that the request asks for, to be fetched."""
        if (page - 1) * size > self.max_offset:
            raise page_too_far(page, self.max_offset // size + 1)
        terms = read_terms(self.sorting, sort)
        link_target = target(connection, response, self.max_offset)
        return OffsetQuery(self, PaginationParams(page, size), terms, link_target)


@dataclass(frozen=True, slots=True)
class _Found:
    rows: Sequence[Any]
    more: bool
    total: Total | None


class OffsetQuery(Generic[T]):
    """The page of a listing that a request asks for by number.

    Given by `OffsetPaginator`.
    """

    def __init__(
        self,
        paginator: OffsetPaginator,
        params: PaginationParams,
        terms: tuple[str, ...],
        link_target: LinkTarget,
    ) -> None:
        self.page: int = params.page
        self.size: int = params.size
        self.terms = terms
        self._params = params
        self._link_target = link_target
        self._sorting = paginator.sorting
        self._count = paginator.count

    @overload
    async def fetch(
        self, session: AsyncSession, stmt: AnySelect, *, into: type[CountedPageT]
    ) -> CountedPageT: ...
    @overload
    async def fetch(
        self, session: AsyncSession, stmt: AnySelect, *, into: type[PageT]
    ) -> PageT: ...
    async def fetch(self, session: AsyncSession, stmt: AnySelect, *, into: type[Any]) -> Any:
        """Give the page, and send its ``Link`` header.

        Args:
            session: Any `AsyncSession`, SQLModel's too.
            stmt: A select of the sorted entity, or of columns among which are those that the order
                needs; without ORDER BY and LIMIT.
            into: The type of the page: ``CountedPage[ItemOut]``, or ``Page[ItemOut]`` where the
                count is exact, or a subclass of one; items are read by attribute, rows by column
                name.

        Raises:
            ConfigurationError: The statement cannot be sorted, or ``into`` is another page.
            pydantic.ValidationError: A row is not what ``into`` holds.
        """
        refuse_blocking(session, "fetch", "fetch_sync")
        return self._fill(await session.run_sync(self._find, stmt), into)

    @overload
    def fetch_sync(
        self, session: Session, stmt: AnySelect, *, into: type[CountedPageT]
    ) -> CountedPageT: ...
    @overload
    def fetch_sync(self, session: Session, stmt: AnySelect, *, into: type[PageT]) -> PageT: ...
    def fetch_sync(self, session: Session, stmt: AnySelect, *, into: type[Any]) -> Any:
        """Give what `fetch` gives, for a synchronous session."""
        return self._fill(self._find(session, stmt), into)

    def _find(self, session: Session, stmt: AnySelect) -> _Found:
        listing = examine_sorted(stmt, self._sorting)
        keyset = self._sorting.keyset(self.terms, session)
        # One row more tells whether there are more.
        found = self._rows(session, listing, keyset)
        more, rows = len(found) > self.size, found[: self.size]
        seen = self._params.offset + len(found)
        if not more and (rows or not self._params.offset):
            return _Found(rows, more, Total(value=seen, relation="eq"))
        return _Found(rows, more, self._total(session, listing, keyset, seen if rows else 0))

    def _rows(self, session: Session, listing: Unordered, keyset: Keyset) -> Sequence[Any]:
        statement, limit, offset = listing.statement, self.size + 1, self._params.offset
        if listing.entity is None:
            refuse_unselected(statement, keyset)
        if listing.repeats:
            keys = keys_of_page(listing, keyset, [], limit, offset=offset)
            statement = where_key_in(statement, keyset, keys)
        else:
            statement = statement.limit(limit).offset(offset)
        statement = statement.order_by(*keyset.order_by(backward=False))
        if listing.entity is not None:
            return session.scalars(statement).unique().all()
        found = session.execute(statement)
        single = len(statement.selected_columns) == 1
        return found.scalars().all() if single else found.all()

    def _total(
        self, session: Session, listing: Unordered, keyset: Keyset, seen: int
    ) -> Total | None:
        """Give the total of a listing of which ``seen`` rows, at least, are known."""
        most = self._count.most
        if most is not None and seen > most:
            known = max(seen, most) if self._count.tells_more else None
            return None if known is None else Total(value=known, relation="gte")
        if most == 0:
            return None
        counted = _counted(session, listing, keyset, most)
        if most is not None and counted > most:
            return Total(value=most, relation="gte")
        # Rows may have gone since the page was read; a total below it helps nobody.
        return Total(value=max(counted, seen), relation="eq")

    def _fill(self, found: _Found, into: Any) -> Any:
        values: dict[str, Any] = {
            "items": readable(found.rows, into),
            "page": self.page,
            "size": self.size,
        }
        total = found.total
        exact = total.value if total is not None and total.relation == "eq" else None
        kind: type = into
        if issubclass(kind, CountedPage):
            values["total"] = total
        elif issubclass(kind, Page) and self._count == Count.exact and exact is not None:
            values |= {"total": exact, "pages": -(-exact // self.size)}
        else:
            raise ConfigurationError(
                f"into={kind.__name__} does not fit; use CountedPage[...], or Page[...] with "
                "count=Count.exact, or a subclass of one"
            )
        self._send_links(exact, more=found.more)
        return into.model_validate(values, from_attributes=True)

    def _send_links(self, total: int | None, *, more: bool) -> None:
        self._link_target.add_links(
            "page", offset=self._params.offset, limit=self.size, total=total, more=more
        )


def _counted(session: Session, listing: Unordered, keyset: Keyset, most: int | None) -> int:
    """Count the rows, or entities, of a listing; not further than one beyond ``most``."""
    statement = listing.statement
    if listing.entity is not None:
        unique = [keyset.elements[number] for number in keyset.unique]
        statement = statement.with_only_columns(*unique, maintain_column_froms=True)
        statement = statement.distinct() if listing.repeats else statement
    if most is not None:
        statement = statement.limit(most + 1)
    if most is None and listing.entity is not None and not listing.repeats:
        counting = statement.with_only_columns(func.count(), maintain_column_froms=True)
    else:
        counting = select(func.count()).select_from(statement.subquery())
    return session.scalars(counting).one()
