"""Whether a log-in name and a password are those of a user who may come in."""

import logging
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from fastapi_kit.auth.passwords import PasswordHasher
from fastapi_kit.auth.principal import Users
from fastapi_kit.logs import add_log_fields

__all__ = ["LoginResult", "check_login", "still_fits"]

logger: logging.Logger = logging.getLogger("fastapi_kit.auth")

UserT = TypeVar("UserT")


@dataclass(frozen=True, slots=True)
class LoginResult(Generic[UserT]):
    """What became of a log-in."""

    user: UserT | None
    """Who is in; ``None`` when nobody is."""
    subject: str | None
    """Whose log-in it was, refused or not; ``None`` when there is no such user."""
    reason: str | None
    """Why nobody is in; for the log, never for the client."""
    password_hash: str | None = field(default=None, repr=False)
    """What the password was found to fit, or what was stored in its place."""


async def check_login(
    users: Users[UserT], hasher: PasswordHasher, login: str, password: str
) -> LoginResult[UserT]:
    """The active user whom this log-in name and password fit, or why there is none.

    An unknown name, a wrong password, a user without a password and an inactive one take the same
    work: one look-up and one hash. A hash of an old scheme or of other parameters is replaced after
    success.

    Raises:
        ServiceUnavailableError: Too many log-ins wait already.
    """
    # Not asked for: PostgreSQL refuses NUL in text, and a log line breaks at CR and LF.
    user = await users.get_by_login(login) if login.isprintable() else None
    stored = None if user is None else users.password_hash(user)
    matches = await hasher.verify(password, stored)
    if user is None:
        return LoginResult(None, None, "no such user")
    principal = users.principal(user)
    if not matches:
        return LoginResult(None, principal.subject, "wrong password")
    if not principal.active:
        return LoginResult(None, principal.subject, "the user is not active")
    stored = await _upgrade_hash(users, hasher, user, password, stored)
    add_log_fields(**{"enduser.id": principal.subject})
    return LoginResult(user, principal.subject, None, stored)


async def still_fits(
    users: Users[UserT], hasher: PasswordHasher, subject: str, password: str, known: str | None
) -> bool:
    """Whether a password that was found to fit is still the user's.

    A password can be changed, and every session be ended, while the old one is being verified. Ask
    this when the new session is stored: whatever is changed from then on ends it.

    Args:
        users: The app's users.
        hasher: Verifies the password if the hash is another now, as an upgrade makes it.
        subject: Whose password it is.
        password: As it was verified.
        known: `LoginResult.password_hash`.

    Raises:
        ServiceUnavailableError: Too many log-ins wait already.
    """
    user = await users.get(subject)
    now = None if user is None else users.password_hash(user)
    return now == known or await hasher.verify(password, now)


async def _upgrade_hash(
    users: Users[UserT], hasher: PasswordHasher, user: UserT, password: str, stored: str | None
) -> str | None:
    """The hash that is stored now, as far as is known."""
    try:
        better = await hasher.updated_hash(password, stored)
        if better is not None:
            await users.set_password_hash(user, better)
            return better
    except Exception as error:  # noqa: BLE001  # the text of a database error holds the hash
        # The user has proved who they are: an old hash is no reason to send them away.
        logger.error("The upgraded password hash was not stored: %s", type(error).__name__)  # noqa: TRY400
    return stored
