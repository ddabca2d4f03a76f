"""Pages by cursor: as quick at the end of a listing as at its start, and steady while it changes."""

from dataclasses import dataclass, field
from inspect import Parameter
from typing import Annotated, Any, ClassVar, Generic, overload

from fastapi import Query, Response
from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection

from fastapi_kit.errors import AppError, ConfigurationError, error_responses
from fastapi_kit.pagination.cursor import CursorSigner, InvalidCursorError, pack, unpack
from fastapi_kit.pagination.links import LinkTarget, cursor_link_responses
from fastapi_kit.pagination.pages import CursorPage, CursorPageT, Slice, T
from fastapi_kit.pagination.parameters import (
    DEFAULT_SIZE,
    INT64_MAX,
    MAX_SIZE,
    check_bounds,
    signature,
    target,
    whole_number,
)
from fastapi_kit.pagination.position import Position
from fastapi_kit.pagination.rows import readable, refuse_blocking
from fastapi_kit.pagination.scope import canonical
from fastapi_kit.pagination.seek import examine_sorted, seek
from fastapi_kit.pagination.sort_parameter import read_terms, sort_parameter
from fastapi_kit.pagination.sorting import Sorting
from fastapi_kit.pagination.statements import T1, T2, AnySelect, Ts


@dataclass(frozen=True)
class CursorPaginator:
    """A dependency that gives a `CursorQuery` from ``?cursor=&size=&sort=``.

    A cursor fits the path, sort order, filters and scope that it was given out for, and no other; the
    size of the page may change. Instances with the same arguments are equal, so
    ``app.dependency_overrides`` finds them.

    Args:
        sorting: By what the listing may be sorted.
        signer: Signs the cursors.
        size: Items on a page when the request does not say.
        max_size: The most items that a request may ask for.

    Raises:
        ConfigurationError: A size is below 1, or ``size`` is over ``max_size``.
    """

    sorting: Sorting
    signer: CursorSigner = field(kw_only=True)
    size: int = field(default=DEFAULT_SIZE, kw_only=True)
    max_size: int = field(default=MAX_SIZE, kw_only=True)

    raises: ClassVar[tuple[type[AppError], ...]] = (InvalidCursorError,)
    """What `fastapi_kit.errors` documents on each route that depends on it."""

    def __post_init__(self) -> None:
        check_bounds(max_size=(self.max_size, 1, INT64_MAX - 1), size=(self.size, 1, self.max_size))
        description = "Where the page begins: `next` or `previous` of another page."
        cursor = Parameter(
            "cursor",
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, Query(description=description)],
        )
        size = whole_number("size", self.size, 1, self.max_size, "Items on a page.")
        given = signature(cursor, size, sort_parameter(self.sorting))
        object.__setattr__(self, "__signature__", given)

    @property
    def responses(self) -> dict[int | str, dict[str, Any]]:
        """What documents the ``Link`` header and a bad cursor, for a route's ``responses=``."""
        return {
            **cursor_link_responses(),
            **error_responses(InvalidCursorError),
        }

    async def __call__(
        self,
        connection: HTTPConnection,
        response: Response,
        cursor: str | None,
        size: int,
        sort: list[str],
    ) -> "CursorQuery[Any]":
        """Give the page that the request asks for, to be fetched."""
        terms = read_terms(self.sorting, sort)
        path = connection.scope["path"]
        return CursorQuery(self, cursor, size, terms, path, target(connection, response, 0))


class CursorQuery(Generic[T]):
    """The page of a listing that a request asks for by cursor.

    Given by `CursorPaginator`.
    """

    def __init__(
        self,
        paginator: CursorPaginator,
        cursor: str | None,
        size: int,
        terms: tuple[str, ...],
        path: str,
        link_target: LinkTarget,
    ) -> None:
        self.size = size
        self.terms = terms
        self._sorting = paginator.sorting
        self._signer = paginator.signer
        self._cursor = cursor
        self._path = path
        self._link_target = link_target

    async def fetch(
        self,
        session: AsyncSession,
        stmt: AnySelect,
        *,
        into: type[CursorPageT],
        scope: object = None,
    ) -> CursorPageT:
        """Give the page, and send its ``Link`` header.

        Args:
            session: Any `AsyncSession`, SQLModel's too.
            stmt: A select of the sorted entity, or of columns among which are those that the order
                needs; without ORDER BY and LIMIT.
            into: The type of the page, such as ``CursorPage[ItemOut]`` or a subclass of it; items
                are read by attribute, rows by column name.
            scope: What a cursor is bound to beside path and order: the filters, the tenant. Text,
                numbers, models and collections of these. Give whatever makes ``stmt`` another
                listing.

        Raises:
            InvalidCursorError: The cursor is damaged, or of another listing.
            ConfigurationError: The statement cannot be sorted, ``into`` is no `CursorPage`, or
                ``scope`` holds what cannot be told apart.
            pydantic.ValidationError: A row is not what ``into`` holds.
        """
        refuse_blocking(session, "fetch", "fetch_sync")
        return _fill(await self.slice(session, stmt, scope=scope), into)

    def fetch_sync(
        self, session: Session, stmt: AnySelect, *, into: type[CursorPageT], scope: object = None
    ) -> CursorPageT:
        """Give what `fetch` gives, for a synchronous session."""
        return _fill(self.slice_sync(session, stmt, scope=scope), into)

    @overload
    async def slice(
        self, session: AsyncSession, stmt: Select[T1], *, scope: object = None
    ) -> Slice[T1]: ...
    @overload
    async def slice(
        self, session: AsyncSession, stmt: Select[T1, T2, *Ts], *, scope: object = None
    ) -> "Slice[Row[T1, T2, *Ts]]": ...
    async def slice(
        self, session: AsyncSession, stmt: AnySelect, *, scope: object = None
    ) -> Slice[Any]:
        """Give the items as the database gave them, with the cursors, and send the ``Link`` header.

        Args:
            session: As for `fetch`.
            stmt: As for `fetch`.
            scope: As for `fetch`.

        Raises:
            InvalidCursorError: As for `fetch`.
            ConfigurationError: As for `fetch`.
        """
        refuse_blocking(session, "slice", "slice_sync")
        return self._linked(await session.run_sync(self._seek, stmt, scope))

    @overload
    def slice_sync(
        self, session: Session, stmt: Select[T1], *, scope: object = None
    ) -> Slice[T1]: ...
    @overload
    def slice_sync(
        self, session: Session, stmt: Select[T1, T2, *Ts], *, scope: object = None
    ) -> "Slice[Row[T1, T2, *Ts]]": ...
    def slice_sync(self, session: Session, stmt: AnySelect, *, scope: object = None) -> Slice[Any]:
        """Give what `slice` gives, for a synchronous session."""
        return self._linked(self._seek(session, stmt, scope))

    def _seek(self, session: Session, stmt: AnySelect, scope: object) -> Slice[Any]:
        listing = examine_sorted(stmt, self._sorting)
        keyset = self._sorting.keyset(self.terms, session)
        # No part but the path can hold NUL, so the three are told apart.
        bound_to = "\0".join((keyset.name, self._path, canonical(scope)))
        context = bound_to.encode("utf-8", "surrogatepass")
        part = seek(session, listing, keyset, self._position(context), self.size)
        return Slice(part.rows, self._sign(part.after, context), self._sign(part.before, context))

    def _position(self, context: bytes) -> Position | None:
        if self._cursor is None:
            return None
        return unpack(self._signer.verify(self._cursor, context))

    def _sign(self, position: Position | None, context: bytes) -> str | None:
        return None if position is None else self._signer.sign(pack(position), context)

    def _linked(self, part: Slice[Any]) -> Slice[Any]:
        self._link_target.add_cursor_links(following=part.next, preceding=part.previous)
        return part


def _fill(part: Slice[Any], into: type[CursorPageT]) -> CursorPageT:
    kind: type = into
    if not issubclass(kind, CursorPage):
        raise ConfigurationError(
            f"into={into.__name__} has no cursors; use CursorPage[...] or a subclass of it"
        )
    values = {
        "items": readable(part.items, into),
        "next": part.next,
        "previous": part.previous,
    }
    return into.model_validate(values, from_attributes=True)
