"""Pages of a listing: by number, by skip and limit, by cursor; from a database or from memory.

What needs SQLAlchemy is imported when it is first used, so that pages of what is in memory cost
nothing of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastapi_kit.pagination.counts import Count
from fastapi_kit.pagination.cursor import CursorSigner, InvalidCursorError
from fastapi_kit.pagination.limits import (
    PaginationDep,
    PaginationLimits,
    SkipLimitDep,
    SkipLimitLimits,
    get_pagination,
    get_skip_limit,
)
from fastapi_kit.pagination.links import LinkTarget, link_header_responses
from fastapi_kit.pagination.pages import (
    CountedPage,
    CursorPage,
    Page,
    SkipLimitPage,
    Slice,
    Total,
)
from fastapi_kit.pagination.params import PaginationParams, SkipLimitParams
from fastapi_kit.pagination.sequences import paginate_sequence

if TYPE_CHECKING:
    from fastapi_kit.pagination.cursor_paginator import CursorPaginator, CursorQuery
    from fastapi_kit.pagination.filters import Filters, contains, equals, ge, le, one_of
    from fastapi_kit.pagination.iterating import iterate, iterate_sync
    from fastapi_kit.pagination.offset_paginator import OffsetPaginator, OffsetQuery
    from fastapi_kit.pagination.selects import paginate, paginate_sync
    from fastapi_kit.pagination.sorting import Sorting, SortKey

__all__ = [
    "Count",
    "CountedPage",
    "CursorPage",
    "CursorPaginator",
    "CursorQuery",
    "CursorSigner",
    "Filters",
    "InvalidCursorError",
    "LinkTarget",
    "OffsetPaginator",
    "OffsetQuery",
    "Page",
    "PaginationDep",
    "PaginationLimits",
    "PaginationParams",
    "SkipLimitDep",
    "SkipLimitLimits",
    "SkipLimitPage",
    "SkipLimitParams",
    "Slice",
    "SortKey",
    "Sorting",
    "Total",
    "contains",
    "equals",
    "ge",
    "get_pagination",
    "get_skip_limit",
    "iterate",
    "iterate_sync",
    "le",
    "link_header_responses",
    "one_of",
    "paginate",
    "paginate_sequence",
    "paginate_sync",
]

_LAZY = {
    "CursorPaginator": "cursor_paginator",
    "CursorQuery": "cursor_paginator",
    "Filters": "filters",
    "OffsetPaginator": "offset_paginator",
    "OffsetQuery": "offset_paginator",
    "SortKey": "sorting",
    "Sorting": "sorting",
    "contains": "filters",
    "equals": "filters",
    "ge": "filters",
    "iterate": "iterating",
    "iterate_sync": "iterating",
    "le": "filters",
    "one_of": "filters",
    "paginate": "selects",
    "paginate_sync": "selects",
}


if not TYPE_CHECKING:  # or a misspelt name would pass the type checkers

    def __getattr__(name: str) -> Any:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
