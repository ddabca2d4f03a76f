"""Buying: what a route, a job or a script may ask for; the caller's unit of work commits it."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from examples.shop.items.models import Item
from examples.shop.items.router import ItemNotFound
from examples.shop.orders.models import Order
from examples.shop.users.models import User
from fastapi_kit import ConflictError


class OutOfStock(ConflictError):  # noqa: N818  # named for what happened, as its type is
    """There is less of the item than was asked for."""

    type = "/problems/out-of-stock"
    title = "Out of stock"


async def buy(session: AsyncSession, buyer: User, item_id: int, quantity: int) -> Order:
    """Take items out of stock and write the order, both or neither.

    Raises:
        ItemNotFound: There is no such item.
        OutOfStock: There are not enough of it.
    """
    # One statement checks and takes: between two, somebody else could buy.
    taken = await session.execute(
        update(Item)
        .where(Item.id == item_id, Item.stock >= quantity)
        .values(stock=Item.stock - quantity, version=Item.version + 1)
        .returning(Item.price)
        .execution_options(synchronize_session=False)
    )
    price = taken.scalar_one_or_none()
    if price is None:
        raise await _refusal(session, item_id)
    order = Order(user_id=buyer.id, item_id=item_id, quantity=quantity, unit_price=price)
    session.add(order)
    await session.flush()
    return order


async def _refusal(session: AsyncSession, item_id: int) -> ItemNotFound | OutOfStock:
    available = await session.scalar(select(Item.stock).where(Item.id == item_id))
    if available is None:
        return ItemNotFound(f"There is no item {item_id}.")
    return OutOfStock(f"There are {available} left.", available=available)
