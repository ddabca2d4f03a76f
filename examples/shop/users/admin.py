from typing import Annotated

from fastapi import APIRouter, Depends, Path, status
from sqlalchemy import select

from examples.shop.users.models import Role, User
from examples.shop.users.schemas import UserOut
from fastapi_kit import (
    Auth,
    ConflictError,
    NotFoundError,
    Page,
    PaginationDep,
    ReadSessionDep,
    SessionDep,
    error_responses,
    paginate,
    roles,
)

UserId = Annotated[int, Path(ge=1, le=2**31 - 1)]


class UserPage(Page[UserOut]):
    """One page of users."""


def admin_router(auth: Auth[User]) -> APIRouter:
    Admin = Annotated[User, Depends(auth.require(roles(Role.ADMIN)))]  # noqa: N806  # a type
    router = APIRouter(tags=["admin"])

    @router.get("/users")
    async def list_users(params: PaginationDep, session: ReadSessionDep, _admin: Admin) -> UserPage:
        """Everyone with an account."""
        return await paginate(session, select(User).order_by(User.id), params, into=UserPage)

    @router.delete(
        "/admin/users/{user_id}",
        status_code=status.HTTP_204_NO_CONTENT,
        responses=error_responses(404, 409),
    )
    async def delete_user(user_id: UserId, admin: Admin, session: SessionDep) -> None:
        """Close somebody's account; their tokens hold no longer."""
        if user_id == admin.id:
            raise ConflictError("Nobody closes their own account here.")
        user = await session.get(User, user_id)
        if user is None:
            raise NotFoundError(f"There is no user {user_id}.")
        user.mark_deleted()

    return router
