"""An app with log-in and refresh, and a client of it, for the tests of sessions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from fastapi_kit.auth import (
    Auth,
    AuthEvent,
    MemoryDenyList,
    MemoryRefreshStore,
    RefreshTokens,
    auth_router,
)
from tests.auth.accounts import HASHER, Accounts, Clock, User, make_app, make_auth

PASSWORD = "correct horse battery staple"
HASH = HASHER.hash_blocking(PASSWORD)
IDLE = timedelta(days=14)
ABSOLUTE = timedelta(days=60)


def people() -> Accounts:
    return Accounts([User(1, "ann", password_hash=HASH), User(2, "bob", password_hash=HASH)])


@dataclass
class House:
    """One app and what it is made of. ``denylist=None`` leaves the deny list out."""

    store: Any = field(default_factory=MemoryRefreshStore)
    accounts: Accounts = field(default_factory=people)
    clock: Clock = field(default_factory=Clock)
    denylist: Any = field(default_factory=MemoryDenyList)
    options: dict[str, Any] = field(default_factory=dict)
    auth_options: dict[str, Any] = field(default_factory=dict)
    events: list[AuthEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.auth: Auth[User] = make_auth(
            self.accounts, clock=self.clock, denylist=self.denylist, **self.auth_options
        )
        self.refresh = RefreshTokens(self.store, idle=IDLE, absolute=ABSOLUTE, clock=self.clock)
        options = {"refresh": self.refresh, "audit": self.events.append, **self.options}
        self.app = make_app(self.auth, auth_router(self.auth, **options))

    @asynccontextmanager
    async def client(self, address: str = "203.0.113.1") -> AsyncIterator["Client"]:
        transport = httpx.ASGITransport(self.app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield Client(http)


@dataclass
class Client:
    http: httpx.AsyncClient

    async def post(self, path: str, **form: str) -> httpx.Response:
        return await self.http.post(f"/auth/{path}", data=form)

    async def try_log_in(
        self, login: str = "ann", password: str = PASSWORD, **form: str
    ) -> httpx.Response:
        return await self.post(
            "token", grant_type="password", username=login, password=password, **form
        )

    async def log_in(self, login: str = "ann", **form: str) -> dict[str, Any]:
        return body_of(await self.try_log_in(login, **form))

    async def try_refresh(self, token: str, **form: str) -> httpx.Response:
        return await self.post("refresh", refresh_token=token, **form)

    async def refresh(self, token: str, **form: str) -> dict[str, Any]:
        return body_of(await self.try_refresh(token, **form))

    async def me(self, access_token: str) -> int:
        headers = {"Authorization": f"Bearer {access_token}"}
        return (await self.http.get("/me", headers=headers)).status_code

    async def end(self, path: str, access_token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {access_token}"}
        return await self.http.post(f"/auth/{path}", headers=headers)


class Down:
    """A store that cannot be reached, and says so with what it was asked."""

    def __getattr__(self, name: str) -> Any:
        async def fail(*values: object, **named: object) -> Any:
            raise ConnectionError(f"{name}({values}, {named}): password=hunter2")

        return fail


def body_of(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert response.status_code == 200, body
    return body


def is_refused(response: httpx.Response, error: str = "invalid_grant", status: int = 400) -> None:
    """The answer is this error, in the shape that every error of the token endpoint has."""
    body = response.json()
    assert (response.status_code, body["error"], body["status"]) == (status, error, status)
    assert body["error_description"] == body["detail"]
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert "access_token" not in body
