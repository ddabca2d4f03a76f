from typing import Annotated

from fastapi import APIRouter, Depends, status
from sqlalchemy import select

from examples.shop.items.router import ItemNotFound
from examples.shop.orders.models import Order
from examples.shop.orders.schemas import NewOrder, OrderOut, OrderPage
from examples.shop.orders.service import OutOfStock, buy
from examples.shop.users.models import User
from fastapi_kit import Auth, ReadSessionDep, SessionDep, error_responses
from fastapi_kit.pagination import CursorPaginator, CursorQuery, CursorSigner, Sorting

NEWEST_FIRST = Sorting(Order, {"id": Order.id}, default=("-id",))


def orders_router(auth: Auth[User], signer: CursorSigner) -> APIRouter:
    CurrentUser = Annotated[User, Depends(auth.current_user)]  # noqa: N806  # a type
    paginator = CursorPaginator(NEWEST_FIRST, signer=signer)
    router = APIRouter(prefix="/orders", tags=["orders"])

    @router.post(
        "",
        status_code=status.HTTP_201_CREATED,
        responses=error_responses(ItemNotFound, OutOfStock),
    )
    async def place_order(data: NewOrder, user: CurrentUser, session: SessionDep) -> OrderOut:
        """Buy."""
        order = await buy(session, user, data.item_id, data.quantity)
        return OrderOut.model_validate(order)

    @router.get("", responses=paginator.responses)
    async def list_orders(
        page: Annotated[CursorQuery[Order], Depends(paginator)],
        user: CurrentUser,
        session: ReadSessionDep,
    ) -> OrderPage:
        """What I have bought, newest first."""
        mine = select(Order).where(Order.user_id == user.id)
        return await page.fetch(session, mine, into=OrderPage, scope=user.id)

    return router
