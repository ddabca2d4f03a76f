"""Which part of a listing a request asks for."""

from dataclasses import dataclass, field

from fastapi_kit.pagination.links import LinkTarget


def _at_least(name: str, value: int, lowest: int) -> None:
    if value < lowest:
        raise ValueError(f"{name}={value} is below {lowest}")


@dataclass(frozen=True, slots=True)
class PaginationParams:
    """The page that a request asks for, by number and size.

    Args:
        page: The page's number, from 1.
        size: Items on a page, from 1.
        link_target: Where ``Link`` headers go; ``None`` sends none.

    Raises:
        ValueError: A number is below 1.
    """

    page: int = 1
    size: int = 10
    link_target: LinkTarget | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        _at_least("page", self.page, 1)
        _at_least("size", self.size, 1)

    @property
    def offset(self) -> int:
        """Items before the page."""
        return (self.page - 1) * self.size

    @property
    def limit(self) -> int:
        """The most items on the page; the same as ``size``."""
        return self.size


@dataclass(frozen=True, slots=True)
class SkipLimitParams:
    """The part of a listing that a request asks for, by skipped items and a limit.

    Args:
        skip: Items before the part, from 0.
        limit: The most items in the part, from 1.
        link_target: Where ``Link`` headers go; ``None`` sends none.

    Raises:
        ValueError: A number is below its lowest.
    """

    skip: int = 0
    limit: int = 10
    link_target: LinkTarget | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        _at_least("skip", self.skip, 0)
        _at_least("limit", self.limit, 1)

    @property
    def offset(self) -> int:
        """Items before the part; the same as ``skip``."""
        return self.skip
