"""Tokens that go out by mail: to set a new password, and to confirm an address."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, status
from pydantic import SecretStr
from sqlalchemy import update

from examples.shop.users.mail import Mailer
from examples.shop.users.models import User
from examples.shop.users.passwords import Passwords
from examples.shop.users.schemas import EmailConfirmation, ForgottenPassword, PasswordReset
from fastapi_kit import Auth, SessionDep, error_responses
from fastapi_kit.auth import InvalidTokenError, RefreshTokens
from fastapi_kit.errors import BadRequestError

RESET = "password-reset"
RESET_TTL = timedelta(hours=1)
RESET_MAIL = """\
Somebody, you we hope, asked for a new password for your account.
Within an hour, send it with this token to POST /api/v1/auth/reset-password:

{token}

If it was not you, do nothing: your password is as it was.
"""
VERIFY = "email-verification"
VERIFY_TTL = timedelta(days=1)
VERIFY_MAIL = """\
Is this your address, and did you open an account with it?
Within a day, send this token to POST /api/v1/auth/verify:

{token}

If you did not, do nothing.
"""


class InvalidMailedToken(BadRequestError):  # noqa: N818  # named for what happened, as its type is
    """A mailed token does not hold; why is in the log of ``fastapi_kit.auth``."""

    type = "/problems/invalid-mailed-token"
    title = "Invalid token"
    default_detail = "The token has expired, was used before, or was sent for something else."


@dataclass(frozen=True)
class MailedTokens:
    """Mails tokens and knows them again. Each is bound to what its use changes: one use ends it."""

    auth: Auth[User]
    mailer: Mailer

    async def mail_reset(self, email: str) -> None:
        """Mail a token to set a new password, if there is such a user."""
        user = await self.auth.users.get_by_login(email)
        if user is None or not user.is_active:
            return
        token = self.auth.purpose_token(
            RESET, subject=str(user.id), ttl=RESET_TTL, bound_to=user.password_hash
        )
        await self.mailer.send(user.email, "A new password", RESET_MAIL.format(token=token))

    async def mail_verification(self, user: User) -> None:
        """Mail a token to confirm the user's address."""
        token = self.auth.purpose_token(
            VERIFY, subject=str(user.id), ttl=VERIFY_TTL, bound_to=user.email
        )
        await self.mailer.send(user.email, "Your address", VERIFY_MAIL.format(token=token))

    async def who_resets(self, token: SecretStr) -> User:
        """The user whose reset token this is, as they were when it was found to hold."""
        return await self._owner_of(token, RESET, lambda user: user.password_hash)

    async def who_verifies(self, token: SecretStr) -> User:
        """The user whose verification token this is; a confirmed address has none."""
        return await self._owner_of(
            token, VERIFY, lambda user: None if user.verified else user.email
        )

    async def _owner_of(
        self, token: SecretStr, purpose: str, binding: Callable[[User], str | None]
    ) -> User:
        found: list[User] = []

        async def bound_to(subject: str) -> str | None:
            user = await self.auth.users.get(subject)
            if user is None or not user.is_active:
                return None
            found.append(user)
            return binding(user)

        try:
            await self.auth.verify_purpose_token(
                purpose, token.get_secret_value(), bound_to=bound_to
            )
        except InvalidTokenError:
            raise InvalidMailedToken from None
        return found.pop()


def mailed_tokens_router(auth: Auth[User], refresh: RefreshTokens, mailer: Mailer) -> APIRouter:
    CurrentUser = Annotated[User, Depends(auth.current_user)]  # noqa: N806  # a type
    tokens = MailedTokens(auth, mailer)
    passwords = Passwords(auth, refresh)
    router = APIRouter(prefix="/auth", tags=["users"])

    @router.post("/forgot-password", status_code=status.HTTP_202_ACCEPTED)
    async def forgot_password(data: ForgottenPassword, tasks: BackgroundTasks) -> None:
        """Have a token mailed to set a new password, if there is such a user."""
        # Nobody is looked up before the answer is out, so it cannot tell who has an account.
        tasks.add_task(tokens.mail_reset, data.email)

    @router.post(
        "/reset-password",
        status_code=status.HTTP_204_NO_CONTENT,
        responses=error_responses(InvalidMailedToken),
    )
    async def reset_password(data: PasswordReset, session: SessionDep) -> None:
        """Set a new password by a mailed token, and log the user out everywhere."""
        user = await tokens.who_resets(data.token)
        if not await passwords.change(session, user, data.password):
            raise InvalidMailedToken  # another change was faster, by this token or a second one

    @router.post("/request-verify", status_code=status.HTTP_202_ACCEPTED)
    async def request_verify(user: CurrentUser, tasks: BackgroundTasks) -> None:
        """Have a token mailed to confirm my address, unless it is confirmed."""
        if not user.verified:
            tasks.add_task(tokens.mail_verification, user)

    @router.post(
        "/verify",
        status_code=status.HTTP_204_NO_CONTENT,
        responses=error_responses(InvalidMailedToken),
    )
    async def verify(data: EmailConfirmation, session: SessionDep) -> None:
        """Confirm an address by a mailed token."""
        user = await tokens.who_verifies(data.token)
        theirs = (User.id == user.id) & (User.email == user.email)
        await session.execute(update(User).where(theirs).values(verified=True))

    return router
