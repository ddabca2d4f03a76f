"""How much of a listing is counted."""

from dataclasses import dataclass
from typing import ClassVar

from fastapi_kit.errors import ConfigurationError


@dataclass(frozen=True)
class Count:
    """How much an `OffsetPaginator` counts: ``none``, ``has_more``, ``capped(n)`` or ``exact``.

    Counting reads every row that matches, again for each page. A last page that is not empty tells
    the total by itself, and then nothing is counted, whatever was chosen.

    Args:
        most: How far to count; `None` means to the end, 0 not at all.
        tells_more: Whether the total tells at least that there are more.
    """

    most: int | None
    tells_more: bool = True

    none: ClassVar["Count"]
    """Counts nothing; the total is null, but for the last page."""
    has_more: ClassVar["Count"]
    """Counts nothing; the total says that there are more, or how many there are."""
    exact: ClassVar["Count"]
    """Counts all."""

    def __post_init__(self) -> None:
        if self.most is not None and self.most < 0:
            raise ConfigurationError(f"most={self.most} is below 0; use None to count all")

    @classmethod
    def capped(cls, most: int) -> "Count":
        """Counts to ``most`` items, then says that there are at least so many.

        Args:
            most: Items, from 1.

        Raises:
            ConfigurationError: ``most`` is below 1.
        """
        if most < 1:
            raise ConfigurationError(f"Count.capped({most}) counts nothing; use Count.none")
        return cls(most)


Count.none = Count(0, tells_more=False)
Count.has_more = Count(0)
Count.exact = Count(None)
