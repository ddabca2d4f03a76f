from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from fastapi_kit import CursorPage, Page

_CENT = Decimal("0.01")
Name = Annotated[str, Field(min_length=1, max_length=100)]
Category = Annotated[str, Field(min_length=1, max_length=50)]
Price = Annotated[
    Decimal,
    Field(ge=0, max_digits=8, decimal_places=2),
    AfterValidator(lambda price: abs(price).quantize(_CENT)),  # -0 is 0
]
Stock = Annotated[int, Field(ge=0, le=1_000_000)]


class NewItem(BaseModel):
    name: Name
    category: Category
    price: Price
    stock: Stock = 0


class ItemChange(BaseModel):
    """What changes; what is absent stays."""

    # Not plain defaults: those are in the schema, and a generated client would send them.
    name: Name = Field(default_factory=str)
    category: Category = Field(default_factory=str)
    price: Price = Field(default_factory=Decimal)
    stock: Stock = Field(default_factory=int)


class ItemOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    category: str
    price: Price
    rating: float | None
    owner_id: int
    created_at: datetime
    version: int


class ItemPage(Page[ItemOut]):
    """One page of items, by its number."""


class ItemCursorPage(CursorPage[ItemOut]):
    """One page of items, by cursor."""
