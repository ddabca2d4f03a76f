"""Users in memory, an `Auth` over them, and a small app, for the tests of this package."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, FastAPI

from fastapi_kit.auth import Auth, PasswordHasher, Principal, auth_router, roles, scopes

SECRET = "a secret of at least thirty-two bytes"
NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)
HASHER = PasswordHasher.for_tests()
SCOPES = {"items:read": "Read items", "items:write": "Change items"}


@dataclass
class User:
    id: int
    login: str
    role: str = "viewer"
    password_hash: str | None = None
    active: bool = True
    scopes: frozenset[str] | None = None
    permissions: frozenset[str] = frozenset()


@dataclass
class Accounts:
    rows: list[User] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def get(self, subject: str) -> User | None:
        self.asked.append(subject)
        return next((user for user in self.rows if str(user.id) == subject), None)

    async def get_by_login(self, login: str) -> User | None:
        self.asked.append(login)
        return next((user for user in self.rows if user.login == login), None)

    def password_hash(self, user: User) -> str | None:
        return user.password_hash

    async def set_password_hash(self, user: User, password_hash: str) -> None:
        user.password_hash = password_hash

    def principal(self, user: User) -> Principal:
        return Principal(
            str(user.id),
            roles={user.role},
            permissions=user.permissions,
            scopes=user.scopes,
            active=user.active,
        )


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


def make_auth(accounts: Any = None, **options: Any) -> Auth[User]:
    options = {
        "token_url": "/auth/token",
        "scopes": SCOPES,
        "hasher": HASHER,
        "clock": Clock(),
        **options,
    }
    return Auth.from_secret(
        options.pop("secret", SECRET), users=Accounts() if accounts is None else accounts, **options
    )


def make_app(auth: Auth[User], routes: APIRouter | None = None) -> FastAPI:
    """Routes that need nothing, a user, perhaps a user, a role, a scope; and `auth_router`'s."""
    app = FastAPI()
    router = APIRouter()

    @router.get("/me")
    async def me(user: Annotated[User, Depends(auth.current_user)]) -> int:
        return user.id

    @router.get("/maybe")
    async def maybe(user: Annotated[User | None, Depends(auth.optional_user)]) -> int | None:
        return None if user is None else user.id

    @router.get("/admin")
    async def admin(user: Annotated[User, Depends(auth.require(roles("admin")))]) -> int:
        return user.id

    @router.post("/items", dependencies=[Depends(auth.require(scopes("items:write")))])
    async def create(user: Annotated[User, Depends(auth.current_user)]) -> int:
        return user.id

    app.include_router(router)
    app.include_router(auth_router(auth) if routes is None else routes, prefix="/auth")
    return app


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def get(
    app: FastAPI, path: str, headers: Mapping[str, str] | list[tuple[str, str]] | None = None
) -> httpx.Response:
    async with client_of(app) as client:
        return await client.get(path, headers=headers)


def bearer(auth: Auth[User], user: User, *scopes: str) -> dict[str, str]:
    token = auth.create_access_token(subject=str(user.id), scopes=scopes)
    return {"Authorization": f"Bearer {token}"}
