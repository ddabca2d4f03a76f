from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from examples.shop.items.schemas import Price
from fastapi_kit import CursorPage


class NewOrder(BaseModel):
    item_id: Annotated[int, Field(ge=1, le=2**31 - 1)]
    quantity: Annotated[int, Field(ge=1, le=1000)]


class OrderOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    item_id: int
    quantity: int
    unit_price: Price
    created_at: datetime


class OrderPage(CursorPage[OrderOut]):
    """One page of orders, by cursor."""
