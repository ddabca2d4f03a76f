"""How `Auth` finds the shop's users."""

from dataclasses import dataclass

from sqlalchemy import select, update

from examples.shop.users.models import Role, User
from fastapi_kit.auth import Principal
from fastapi_kit.db import Database

_SCOPES = {Role.ADMIN: {"items:write"}, Role.EDITOR: {"items:write"}, Role.VIEWER: set[str]()}


@dataclass(frozen=True)
class Accounts:
    """Reads users in short sessions of their own, so that no request holds one for it."""

    db: Database

    async def get(self, subject: str) -> User | None:
        async with self.db.read_session() as session:
            return await session.get(User, int(subject))

    async def get_by_login(self, login: str) -> User | None:
        async with self.db.read_session() as session:
            return await session.scalar(select(User).where(User.email == login.lower()))

    def password_hash(self, user: User) -> str:
        return user.password_hash

    async def set_password_hash(self, user: User, password_hash: str) -> None:
        unchanged = (User.id == user.id) & (User.password_hash == user.password_hash)
        async with self.db.session() as session:
            await session.execute(update(User).where(unchanged).values(password_hash=password_hash))

    def principal(self, user: User) -> Principal:
        return Principal(
            str(user.id), roles={user.role}, scopes=_SCOPES[user.role], active=user.is_active
        )
