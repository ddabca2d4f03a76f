from datetime import timedelta
from math import ceil
from typing import Annotated

from fastapi import APIRouter, Depends, status

from examples.shop.users.models import Role, User
from examples.shop.users.passwords import Passwords
from examples.shop.users.schemas import PasswordChange, Profile, Registration, UserOut
from fastapi_kit import (
    Auth,
    ConflictError,
    SessionDep,
    error_responses,
)
from fastapi_kit.auth import MemoryLockout, RefreshTokens
from fastapi_kit.errors import ForbiddenError, TooManyRequestsError


class EmailTaken(ConflictError):  # noqa: N818  # named for what happened, as its type is
    """Someone has registered with this e-mail address."""

    type = "/problems/email-taken"
    title = "E-mail already registered"


class WrongPassword(ForbiddenError):  # noqa: N818
    """The current password was given wrongly."""

    type = "/problems/wrong-password"
    title = "Wrong password"


def users_router(auth: Auth[User], refresh: RefreshTokens) -> APIRouter:
    CurrentUser = Annotated[User, Depends(auth.current_user)]  # noqa: N806  # a type
    passwords = Passwords(auth, refresh)
    guesses = MemoryLockout(free_attempts=5, first_wait=timedelta(seconds=30))
    router = APIRouter(tags=["users"])

    @router.post(
        "/auth/register", status_code=status.HTTP_201_CREATED, responses=error_responses(EmailTaken)
    )
    async def register(data: Registration, session: SessionDep) -> UserOut:
        """Open an account, as a viewer."""
        password_hash = await auth.hasher.hash(data.password.get_secret_value())
        user = User(name=data.name, email=data.email, password_hash=password_hash, role=Role.VIEWER)
        session.add(user)
        await session.flush()  # a taken address becomes EmailTaken here, by database_errors
        return UserOut.model_validate(user)

    @router.get("/users/me")
    async def read_me(user: CurrentUser) -> UserOut:
        """Who I am."""
        return UserOut.model_validate(user)

    @router.patch("/users/me")
    async def change_me(data: Profile, user: CurrentUser, session: SessionDep) -> UserOut:
        """Change what is mine to change."""
        mine = await session.get_one(User, user.id)  # `user` was loaded by another session
        if "name" in data.model_fields_set:
            mine.name = data.name
        await session.flush()
        return UserOut.model_validate(mine)

    @router.put(
        "/users/me/password",
        status_code=status.HTTP_204_NO_CONTENT,
        responses=error_responses(WrongPassword, TooManyRequestsError),
    )
    async def change_password(data: PasswordChange, user: CurrentUser, session: SessionDep) -> None:
        """Change my password, and log me out everywhere."""
        # A stolen token must not serve to guess the password; whoever has one counts as one client.
        who = str(user.id), "holders of a token"
        if wait := await guesses.begin(*who):
            raise TooManyRequestsError(
                "The current password was wrong too often; try again later.",
                retry_after_seconds=ceil(wait),
            )
        current = data.current_password.get_secret_value()
        if not await auth.hasher.verify(current, user.password_hash):
            raise WrongPassword
        await guesses.succeeded(*who)
        if not await passwords.change(session, user, data.new_password):
            raise WrongPassword  # another change was faster

    return router
