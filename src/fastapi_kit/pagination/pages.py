"""What a listing answers with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination.params import PaginationParams, SkipLimitParams

T = TypeVar("T")
PageT = TypeVar("PageT", bound="Page[Any]")
SkipLimitPageT = TypeVar("SkipLimitPageT", bound="SkipLimitPage[Any]")
CountedPageT = TypeVar("CountedPageT", bound="CountedPage[Any]")
CursorPageT = TypeVar("CursorPageT", bound="CursorPage[Any]")


# The docstrings of these models are the descriptions of their schemas in OpenAPI.
class Page(BaseModel, Generic[T]):
    """One page of a listing."""

    items: list[T] = Field(description="What is on this page.")
    total: int = Field(ge=0, description="Items on all pages.")
    page: int = Field(ge=1, description="Number of this page, from 1.")
    size: int = Field(ge=1, description="The most items on a page.")
    pages: int = Field(ge=0, description="How many pages there are.")


class SkipLimitPage(BaseModel, Generic[T]):
    """One part of a listing."""

    items: list[T] = Field(description="What is in this part.")
    total: int = Field(ge=0, description="Items in the whole listing.")
    skip: int = Field(ge=0, description="Items before this part.")
    limit: int = Field(ge=1, description="The most items in a part.")


class Total(BaseModel):
    """How many items there are, as far as they were counted."""

    value: int = Field(ge=0, description="The items that were counted.")
    relation: Literal["eq", "gte"] = Field(
        description='"eq": there are just so many; "gte": at least so many.'
    )


class CountedPage(BaseModel, Generic[T]):
    """One page of a listing that may be counted in part, or not at all."""

    items: list[T] = Field(description="What is on this page.")
    total: Total | None = Field(description="Items on all pages; null where nothing was counted.")
    page: int = Field(ge=1, description="Number of this page, from 1.")
    size: int = Field(ge=1, description="The most items on a page.")


class CursorPage(BaseModel, Generic[T]):
    """One page of a listing, with cursors to its neighbours."""

    items: list[T] = Field(description="What is on this page.")
    next: str | None = Field(description="Cursor of the next page; null on the last one.")
    previous: str | None = Field(description="Cursor of the previous page; null on the first one.")


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """The items of a page and its cursors, for a response shape of one's own.

    Args:
        items: What is on the page, as the database gave it.
        next: Cursor of the next page; `None` on the last one.
        previous: Cursor of the previous page; `None` on the first one.
    """

    items: Sequence[T]
    next: str | None
    previous: str | None


AnyParams = PaginationParams | SkipLimitParams
AnyPage = Page[Any] | SkipLimitPage[Any]


def fill_page(
    params: AnyParams, items: Sequence[object], total: int, into: type[AnyPage] | None
) -> AnyPage:
    """Give the page that holds ``items``, and send its links.

    Args:
        params: What was asked for.
        items: What is on the page, read by attribute or by key.
        total: Items on all pages.
        into: The type of the page; ``None`` leaves the items as they are.
    """
    numbers: dict[str, int]
    kind: type[AnyPage]
    if isinstance(params, PaginationParams):
        kind, parameter = Page, "page"
        pages = -(-total // params.size)
        numbers = {"total": total, "page": params.page, "size": params.size, "pages": pages}
    else:
        kind, parameter = SkipLimitPage, "skip"
        numbers = {"total": total, "skip": params.skip, "limit": params.limit}
    if params.link_target is not None:
        params.link_target.add_links(
            parameter, offset=params.offset, limit=params.limit, total=total
        )
    if into is None:
        return kind.model_construct(None, items=list(items), **numbers)
    if not issubclass(into, kind):
        raise ConfigurationError(
            f"into={into.__name__} does not fit {type(params).__name__}; "
            f"use {kind.__name__}[...] or a subclass of it"
        )
    return into.model_validate({"items": items, **numbers}, from_attributes=True)
