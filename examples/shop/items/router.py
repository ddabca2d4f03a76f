from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response, status
from sqlalchemy import select

from examples.shop.items.listing import ItemFilters, by_cursor, by_page
from examples.shop.items.models import Item
from examples.shop.items.schemas import ItemChange, ItemCursorPage, ItemOut, ItemPage, NewItem
from examples.shop.users.models import Role, User
from fastapi_kit import Auth, NotFoundError, ReadSessionDep, SessionDep, error_responses, scopes
from fastapi_kit.db import IfMatchDep, etag
from fastapi_kit.pagination import CursorQuery, CursorSigner, OffsetQuery

ItemId = Annotated[int, Path(ge=1, le=2**31 - 1)]
FiltersDep = Annotated[ItemFilters, Query()]


class ItemNotFound(NotFoundError):  # noqa: N818  # named for what happened, as its type is
    """There is no item with this id."""

    type = "/problems/item-not-found"
    title = "Item not found"


def items_v1() -> APIRouter:
    router = APIRouter(prefix="/items", tags=["items"])

    @router.get("", responses=by_page.responses)
    async def list_items(
        page: Annotated[OffsetQuery[Item], Depends(by_page)],
        filters: FiltersDep,
        session: ReadSessionDep,
    ) -> ItemPage:
        """What is sold, by number of page."""
        return await page.fetch(session, select(Item).where(*filters.where()), into=ItemPage)

    router.add_api_route("/{item_id}", read_item, responses=error_responses(ItemNotFound))
    return router


def items_v2(auth: Auth[User], signer: CursorSigner) -> APIRouter:
    paginator = by_cursor(signer)
    writer = auth.require(scopes("items:write"))
    EditableItem = Annotated[  # noqa: N806  # a type
        Item, Depends(auth.require_object(load_item, owns_item, missing=ItemNotFound))
    ]
    router = APIRouter(prefix="/items", tags=["items"])

    @router.get("", responses=paginator.responses)
    async def list_items(
        page: Annotated[CursorQuery[Item], Depends(paginator)],
        filters: FiltersDep,
        session: ReadSessionDep,
    ) -> ItemCursorPage:
        """What is sold, by cursor: as quick at the end as at the start."""
        stmt = select(Item).where(*filters.where())
        return await page.fetch(session, stmt, into=ItemCursorPage, scope=filters)

    router.add_api_route("/{item_id}", read_item, responses=error_responses(ItemNotFound))

    @router.post("", status_code=status.HTTP_201_CREATED)
    async def create_item(
        data: NewItem,
        user: Annotated[User, Depends(writer)],
        session: SessionDep,
        response: Response,
    ) -> ItemOut:
        """Offer an item."""
        item = Item(**data.model_dump(), owner_id=user.id)
        session.add(item)
        await session.flush()
        response.headers["Location"] = f"/api/v2/items/{item.id}"
        return _shown(item, response)

    @router.patch("/{item_id}", dependencies=[Depends(writer)])
    async def change_item(
        item: EditableItem,
        data: ItemChange,
        if_match: IfMatchDep,
        session: SessionDep,
        response: Response,
    ) -> ItemOut:
        """Change an item; with `If-Match`, only as you have seen it."""
        if_match.check(item)
        for name, value in data.model_dump(exclude_unset=True).items():
            setattr(item, name, value)
        await session.flush()  # somebody else's change in between becomes a 409 here
        return _shown(item, response)

    @router.delete(
        "/{item_id}",
        status_code=status.HTTP_204_NO_CONTENT,
        dependencies=[Depends(writer)],
        responses=error_responses(409),
    )
    async def delete_item(item: EditableItem, if_match: IfMatchDep, session: SessionDep) -> None:
        """Take an item out of the shop, unless it was ordered."""
        if_match.check(item)
        await session.delete(item)

    return router


async def read_item(item_id: ItemId, session: ReadSessionDep, response: Response) -> ItemOut:
    """One item."""
    item = await session.get(Item, item_id)
    if item is None:
        raise ItemNotFound(f"There is no item {item_id}.")
    return _shown(item, response)


async def load_item(item_id: ItemId, session: SessionDep) -> Item | None:
    return await session.get(Item, item_id)


def owns_item(user: User, item: Item) -> bool:
    """The owner, or an admin."""
    return item.owner_id == user.id or user.role == Role.ADMIN


def _shown(item: Item, response: Response) -> ItemOut:
    response.headers["ETag"] = etag(item)
    return ItemOut.model_validate(item)
