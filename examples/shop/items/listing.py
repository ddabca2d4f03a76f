"""By what items can be sorted and filtered, in both versions of the API."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from examples.shop.items.models import Item
from fastapi_kit.pagination import (
    CursorPaginator,
    CursorSigner,
    Filters,
    OffsetPaginator,
    Sorting,
    contains,
    ge,
    le,
    one_of,
)

SORTING = Sorting(
    Item,
    {
        "id": Item.id,
        "name": Item.name,
        "price": Item.price,
        "rating": Item.rating,
        "created": Item.created_at,
    },
    default=("id",),
    max_terms=2,
)
Amount = Annotated[Decimal, Field(ge=0, max_digits=8, decimal_places=2)]


class ItemFilters(Filters):
    category: Annotated[set[str] | None, one_of(Item.category)] = None
    min_price: Annotated[Amount | None, ge(Item.price)] = None
    max_price: Annotated[Amount | None, le(Item.price)] = None
    q: Annotated[str | None, contains(Item.name)] = None


by_page = OffsetPaginator(SORTING, max_offset=10_000)


def by_cursor(signer: CursorSigner) -> CursorPaginator:
    return CursorPaginator(SORTING, signer=signer)
