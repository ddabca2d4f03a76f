"""Who the subject of a token is: one of the app's users, or what the token itself says."""

from typing import Generic, Protocol, TypeVar

from fastapi_kit.auth.caller import AccessClaims
from fastapi_kit.auth.principal import Principal, Users

__all__ = ["Subjects", "TokenSubjects", "UserSubjects"]

UserT = TypeVar("UserT")


class Subjects(Protocol[UserT]):
    """Tells who a token speaks of."""

    async def find(self, claims: AccessClaims) -> UserT | None:
        """Whom a verified token speaks of; ``None`` when there is no such user."""
        ...

    def principal(self, user: UserT) -> Principal:
        """What they are and may do, now."""
        ...


class UserSubjects(Generic[UserT]):
    """The app's users; of the claims, only the subject counts."""

    def __init__(self, users: Users[UserT]) -> None:
        self.users = users

    async def find(self, claims: AccessClaims) -> UserT | None:
        """The user with the token's subject, or ``None``."""
        return await self.users.get(claims.subject)

    def principal(self, user: UserT) -> Principal:
        """What the app says of them."""
        return self.users.principal(user)


class TokenSubjects:
    """Whoever the issuer says it is: there are no users to ask."""

    async def find(self, claims: AccessClaims) -> Principal:
        """What the claims say."""
        return Principal(
            claims.subject,
            roles=claims.roles,
            permissions=claims.permissions,
            scopes=claims.scopes,
        )

    def principal(self, user: Principal) -> Principal:
        """The principal themselves."""
        return user
