"""What cursors are bound to: the same for what means the same, else another."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination import Filters, one_of
from fastapi_kit.pagination.scope import canonical

from .tables import Item

SOUTH = timezone(timedelta(hours=-3))


class Colour(Enum):
    RED = "red"


class Query(BaseModel):
    model_config = ConfigDict(extra="allow")

    low: Decimal | None = None
    words: list[str] = []
    limit: int = 5


class Choice(Filters):
    price: Annotated[list[int] | None, one_of(Item.price)] = None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Query(), Query(limit=5, low=None, words=[])),
        (Query(low=Decimal("1.50")), Query(low=Decimal("1.5"))),
        (Decimal(100), Decimal("1E+2")),
        (Choice(price=[1, 2]), Choice(price=[2, 1, 2])),
        ({"a", "b"}, frozenset("ba")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 9, tzinfo=SOUTH)),
        (datetime(1, 1, 1, 2, tzinfo=UTC), datetime(1, 1, 1, 2, tzinfo=UTC)),
        ([1, 2], (1, 2)),
        (Colour.RED, "red"),
    ],
)
def test_what_means_the_same_is_the_same(one: Any, other: Any) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, ""),
        (None, "null"),
        (1, "1"),
        (1, True),
        ([1, 2], [2, 1]),
        ([1, 2], {1, 2}),
        ([[1], 2], [1, [2]]),
        (["D", "5"], Decimal(5)),
        (Query(words=["a", "b"]), Query(words=["b", "a"])),
        (Query(limit=6), Query()),
        (Query.model_validate({"more": 1}), Query()),
        (Choice(price=[1]), Choice(price=[1, 2])),
        (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)),  # noqa: DTZ001
        (date(2026, 1, 1), "2026-01-01"),
        (UUID(int=1), UUID(int=1).hex),
        (b"a", "61"),
        (timedelta(1), 86_400_000_000),
    ],
)
def test_what_does_not_is_not(one: Any, other: Any) -> None:
    assert canonical(one) != canonical(other)


def test_what_cannot_be_told_apart_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"an? object cannot be a part of a cursor"):
        canonical([object()])
