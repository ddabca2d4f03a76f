"""fastapi-users: its JWT strategy, current active user and log-in route.

Its adapter for SQLAlchemy excludes the version that the kit needs, so the store stands in for it:
one query by primary key, as there. It checks no issuer and no kind of token.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import BaseUserDatabase

from benchmarks.accounts import (
    AUDIENCE,
    Account,
    MemoryStore,
    SQLStore,
    Store,
    guarded,
    hashed_password,
    keys,
)


class Adapter(BaseUserDatabase[Any, int]):
    def __init__(self, store: Any) -> None:
        self.store = store

    async def get(self, id: int) -> Account | None:
        found: Account | None = await self.store.get(id)
        return found

    async def get_by_email(self, email: str) -> Account | None:
        found: Account | None = await self.store.get_by_email(email)
        return found


class Manager(IntegerIDMixin, BaseUserManager[Any, int]):
    reset_password_token_secret = "for nothing here, but it must be there"
    verification_token_secret = "for nothing here, but it must be there"


def make_users(
    algorithm: str, store: Store
) -> tuple[FastAPIUsers[Any, int], AuthenticationBackend[Any, int]]:
    held = keys(algorithm)
    manager = Manager(Adapter(store))
    strategy: JWTStrategy[Any, int] = JWTStrategy(
        secret=held.signing,
        lifetime_seconds=3600,
        token_audience=[AUDIENCE],
        algorithm=algorithm,
        public_key=held.verifying,
    )

    async def get_manager() -> Manager:
        return manager

    # Its guides make both anew for each request, and in a synchronous function; this is cheaper.
    async def get_strategy() -> JWTStrategy[Any, int]:
        return strategy

    backend = AuthenticationBackend(
        name="jwt", transport=BearerTransport(tokenUrl="auth/token"), get_strategy=get_strategy
    )
    return FastAPIUsers(get_manager, [backend]), backend


def make(algorithm: str, make_store: Callable[[], Store]) -> FastAPI:
    users, _ = make_users(algorithm, make_store())
    current_active_user = users.current_user(active=True)

    async def require_admin(user: Annotated[Account, Depends(current_active_user)]) -> None:
        if user.role != "admin":
            raise HTTPException(status_code=403, detail="Not enough permissions")

    return guarded(algorithm, current_active_user, require_admin)


hs256 = partial(make, "HS256", MemoryStore)
rs256 = partial(make, "RS256", MemoryStore)
es256 = partial(make, "ES256", MemoryStore)
sql = partial(make, "HS256", SQLStore)


def log_in() -> FastAPI:
    users, backend = make_users("HS256", MemoryStore(hashed_password()))
    app = FastAPI()

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    # Its log-in route is called so; the path in the load is that of the other apps.
    router = users.get_auth_router(backend)
    app.include_router(router, prefix="/auth")
    return app
