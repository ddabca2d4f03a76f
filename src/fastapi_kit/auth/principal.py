"""Who a user is to the guards, and how `Auth` reaches the app's users."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fastapi_kit.auth.names import as_names

__all__ = ["Principal", "Users", "is_subject"]

UserT = TypeVar("UserT")


MAX_SUBJECT_LENGTH = 255
"""Characters; OpenID Connect Core 1.0 section 2 bounds ``sub`` alike."""


def is_subject(value: object) -> bool:
    """Whether this can be a token's ``sub``: fit for a log line, a header and a database key."""
    return isinstance(value, str) and 0 < len(value) <= MAX_SUBJECT_LENGTH and value.isprintable()


@dataclass(frozen=True, slots=True, init=False)
class Principal:
    """What a user is and may do, as the guards see it; made anew from the user on each request.

    Args:
        subject: The user's stable identifier, 1 to 255 printable characters; what `Users.get`
            takes and what tokens carry as ``sub``. An id, not an e-mail address: it must never
            pass to another user.
        roles: What the user is, such as ``{"admin"}``.
        permissions: What the user may do, such as ``{"catalog"}``.
        scopes: The scopes that this user's tokens may carry; ``None`` means any that `Auth`
            declares. Taking one away holds at once, for tokens already issued too.
        active: ``False`` refuses log-in and every token of this user.

    Raises:
        TypeError: The subject is not such a string, or a single string came in place of a
            collection of names.
    """

    subject: str
    roles: frozenset[str]
    permissions: frozenset[str]
    scopes: frozenset[str] | None
    active: bool

    def __init__(
        self,
        subject: str,
        *,
        roles: Iterable[str] = (),
        permissions: Iterable[str] = (),
        scopes: Iterable[str] | None = None,
        active: bool = True,
    ) -> None:
        if not is_subject(subject):
            raise TypeError(
                f"subject={subject!r} is not a string of 1 to {MAX_SUBJECT_LENGTH} printable "
                "characters; write Principal(str(user.id))"
            )
        if not isinstance(active, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"active={active!r} is not a bool")
        assign = object.__setattr__
        assign(self, "subject", subject)
        assign(self, "roles", as_names("roles", roles))
        assign(self, "permissions", as_names("permissions", permissions))
        assign(self, "scopes", None if scopes is None else as_names("scopes", scopes))
        assign(self, "active", active)

    def with_roles(self, roles: frozenset[str]) -> "Principal":
        """The same, with other roles."""
        changed = object.__new__(Principal)  # the rest was checked when this one was made
        for name in ("subject", "permissions", "scopes", "active"):
            object.__setattr__(changed, name, getattr(self, name))
        object.__setattr__(changed, "roles", roles)
        return changed


class Users(Protocol[UserT]):
    """The app's users, as far as `Auth` needs them: any object with these five methods.

    Let each method open a short session of its own and return a detached user: the user is loaded
    on every authenticated request, also on those that never write.

    What a method raises goes on as the app's own error: it is no refusal, and makes nobody
    anonymous.
    """

    async def get(self, subject: str) -> UserT | None:
        """The user with this subject, or ``None``."""
        ...

    async def get_by_login(self, login: str) -> UserT | None:
        """The user who logs in with this name, or ``None``; upper and lower case are yours."""
        ...

    def password_hash(self, user: UserT) -> str | None:
        """The user's stored password hash; ``None`` when they cannot log in by password."""
        ...

    async def set_password_hash(self, user: UserT, password_hash: str) -> None:
        """Store an upgraded hash of the same password, at log-in.

        Write it only where the old hash still stands (``UPDATE ... WHERE password_hash = :old``),
        or it may undo a password change that happens at the same moment.
        """
        ...

    def principal(self, user: UserT) -> Principal:
        """What the user is and may do, now."""
        ...
