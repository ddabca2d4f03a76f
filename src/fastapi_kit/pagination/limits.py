"""Dependencies that read which part of a listing is wanted, within bounds."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Response
from starlette.requests import HTTPConnection

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
from fastapi_kit.pagination.params import PaginationParams, SkipLimitParams


@dataclass(frozen=True)
class PaginationLimits:
    """A dependency that gives `PaginationParams` from ``?page=&size=``, with bounds of your own.

    Instances with the same bounds are equal, so ``app.dependency_overrides`` finds them.
    A value out of bounds is answered with 422, in the shape of FastAPI's own validation errors.

    Args:
        default_size: Items on a page when the request does not say.
        max_size: The most items that a request may ask for.
        max_offset: The most items that may stand before a page; what a database skips, it reads.

    Raises:
        ConfigurationError: A bound is below its lowest, the default is over the maximum, or the
            numbers could exceed what databases hold (64 bits).
    """

    default_size: int = DEFAULT_SIZE
    max_size: int = MAX_SIZE
    max_offset: int = MAX_OFFSET

    def __post_init__(self) -> None:
        check_bounds(
            max_size=(self.max_size, 1, INT64_MAX),
            default_size=(self.default_size, 1, self.max_size),
            max_offset=(self.max_offset, 0, INT64_MAX - self.max_size),
        )
        given = signature(
            whole_number("page", 1, 1, self.max_offset + 1, "Number of the page, from 1."),
            whole_number("size", self.default_size, 1, self.max_size, "Items on a page."),
        )
        object.__setattr__(self, "__signature__", given)

    async def __call__(
        self, connection: HTTPConnection, response: Response, page: int, size: int
    ) -> PaginationParams:
        """Give the page that the request asks for."""
        if (page - 1) * size > self.max_offset:
            raise page_too_far(page, self.max_offset // size + 1)
        return PaginationParams(page, size, target(connection, response, self.max_offset))


@dataclass(frozen=True)
class SkipLimitLimits:
    """A dependency that gives `SkipLimitParams` from ``?skip=&limit=``, with bounds of your own.

    Instances with the same bounds are equal, so ``app.dependency_overrides`` finds them.

    Args:
        default_limit: Items in a part when the request does not say.
        max_limit: The most items that a request may ask for.
        max_skip: The most items that may be skipped; what a database skips, it reads.

    Raises:
        ConfigurationError: A bound is below its lowest, the default is over the maximum, or the
            numbers could exceed what databases hold (64 bits).
    """

    default_limit: int = DEFAULT_SIZE
    max_limit: int = MAX_SIZE
    max_skip: int = MAX_OFFSET

    def __post_init__(self) -> None:
        check_bounds(
            max_limit=(self.max_limit, 1, INT64_MAX),
            default_limit=(self.default_limit, 1, self.max_limit),
            max_skip=(self.max_skip, 0, INT64_MAX - self.max_limit),
        )
        given = signature(
            whole_number("skip", 0, 0, self.max_skip, "Items to skip."),
            whole_number("limit", self.default_limit, 1, self.max_limit, "The most items."),
        )
        object.__setattr__(self, "__signature__", given)

    async def __call__(
        self, connection: HTTPConnection, response: Response, skip: int, limit: int
    ) -> SkipLimitParams:
        """Give the part that the request asks for."""
        return SkipLimitParams(skip, limit, target(connection, response, self.max_skip))


get_pagination: Final = PaginationLimits()
"""Gives `PaginationParams` from ``?page=&size=``: page 1, size 10 and at most 100."""

get_skip_limit: Final = SkipLimitLimits()
"""Gives `SkipLimitParams` from ``?skip=&limit=``: skip 0, limit 10 and at most 100."""

PaginationDep = Annotated[PaginationParams, Depends(get_pagination)]
"""The page that a request asks for, as a route's parameter."""

SkipLimitDep = Annotated[SkipLimitParams, Depends(get_skip_limit)]
"""The part that a request asks for, as a route's parameter."""
