"""Pages of what is in memory already."""

from collections.abc import Sequence
from typing import Any, overload

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


@overload
def paginate_sequence(rows: Sequence[T], params: PaginationParams) -> Page[T]: ...
@overload
def paginate_sequence(
    rows: Sequence[Any], params: PaginationParams, *, into: type[PageT]
) -> PageT: ...
@overload
def paginate_sequence(rows: Sequence[T], params: SkipLimitParams) -> SkipLimitPage[T]: ...
@overload
def paginate_sequence(
    rows: Sequence[Any], params: SkipLimitParams, *, into: type[SkipLimitPageT]
) -> SkipLimitPageT: ...
def paginate_sequence(
    rows: Sequence[Any], params: AnyParams, *, into: type[AnyPage] | None = None
) -> AnyPage:
    """Give one page of a sequence in memory, and send its ``Link`` header.

    Only the page's own rows are validated.

    Args:
        rows: The whole listing, in order.
        params: What the request asks for.
        into: The type of the page, such as ``Page[ItemOut]`` or a subclass of it; items are read
            by attribute or by key. ``None`` leaves them as they are, unvalidated.

    Raises:
        ConfigurationError: ``into`` is a page of the other kind.
        pydantic.ValidationError: A row is not what ``into`` holds.
    """
    part = rows[params.offset : params.offset + params.limit]
    return fill_page(params, part, len(rows), into)
