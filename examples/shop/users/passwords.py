from dataclasses import dataclass

from pydantic import SecretStr
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from examples.shop.users.models import User
from fastapi_kit import Auth
from fastapi_kit.auth import RefreshTokens, end_every_session


@dataclass(frozen=True)
class Passwords:
    auth: Auth[User]
    refresh: RefreshTokens

    async def change(self, session: AsyncSession, user: User, password: SecretStr) -> bool:
        """Store a new password and log the user out everywhere.

        Only where the old hash still stands, so that of several changes at once one wins; ``False``
        for the others.
        """
        password_hash = await self.auth.hasher.hash(password.get_secret_value())
        unchanged = (User.id == user.id) & (User.password_hash == user.password_hash)
        change = update(User).where(unchanged).values(password_hash=password_hash)
        if await session.scalar(change.returning(User.id)) is None:
            return False
        # Stored first, so that nobody logs in with the old one in between.
        await session.commit()
        await end_every_session(self.auth, self.refresh, str(user.id))
        return True
