"""Users, keys and the guarded route that all ways of logging in are measured on."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Protocol

import argon2
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from fastapi import APIRouter, Depends, FastAPI
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import CreateTable

from benchmarks import databases
from benchmarks.base_route import item
from fastapi_kit.db import Base

ISSUER = "benchmarks"
AUDIENCE = "benchmarks-api"
SECRET = "a secret for benchmarks only, 32 bytes or more"
PASSWORD = "correct horse battery staple"
ADMIN, VIEWER, FORMER = 1, 2, 3


class Account(Base):
    """A user; fastapi-users wants these names."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    hashed_password: Mapped[str]
    role: Mapped[str]
    is_active: Mapped[bool]
    is_superuser: Mapped[bool]
    is_verified: Mapped[bool]


def accounts(hashed_password: str = "!") -> list[Account]:
    """An admin, a viewer, and one who is no longer active."""
    return [
        Account(
            id=number,
            email=f"user{number}@example.com",
            hashed_password=hashed_password,
            role=role,
            is_active=number != FORMER,
            is_superuser=False,
            is_verified=True,
        )
        for number, role in ((ADMIN, "admin"), (VIEWER, "viewer"), (FORMER, "admin"))
    ]


@cache
def hashed_password() -> str:
    """By argon2id with the parameters that all of the measured libraries have by default."""
    return argon2.PasswordHasher().hash(PASSWORD)


class Store(Protocol):
    """Where users are."""

    async def get(self, number: int) -> Account | None: ...


class MemoryStore:
    """Users in a dict."""

    def __init__(self, hashed_password: str = "!") -> None:
        self._accounts = {account.id: account for account in accounts(hashed_password)}

    async def get(self, number: int) -> Account | None:
        return self._accounts.get(number)

    async def get_by_email(self, email: str) -> Account | None:
        return next((one for one in self._accounts.values() if one.email == email), None)


class SQLStore:
    """Users in the database of this process, asked in a short session of its own."""

    def __init__(self) -> None:
        engine = create_async_engine(databases.url())
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def get(self, number: int) -> Account | None:
        async with self._sessions() as session:
            return await session.get(Account, number)


def fill(url: str) -> None:
    """Make the table with its three users."""
    dialect = create_async_engine(url).dialect
    table = str(CreateTable(Account.__table__).compile(dialect=dialect))  # type: ignore[arg-type]
    rows = [
        f"({one.id}, '{one.email}', '!', '{one.role}', {one.is_active}, FALSE, TRUE)"
        for one in accounts()
    ]
    insert = f"INSERT INTO accounts VALUES {', '.join(rows)}"
    at = make_url(url)
    if at.get_backend_name() == "sqlite":
        with sqlite3.connect(str(at.database)) as file:
            file.execute(table)
            file.execute(insert)
        file.close()
        return
    with databases.connect(at) as server:
        server.execute(table.encode())
        server.execute(insert.encode())


@dataclass(frozen=True)
class Keys:
    """What signs and verifies tokens: a secret twice, or a key pair as PEM."""

    algorithm: str
    signing: str
    verifying: str


@cache
def keys(algorithm: str) -> Keys:
    """Keys of this process."""
    if algorithm == "HS256":
        return Keys(algorithm, SECRET, SECRET)
    private = (
        rsa.generate_private_key(65537, 2048)
        if algorithm == "RS256"
        else ec.generate_private_key(ec.SECP256R1())
    )
    public = private.public_key()
    return Keys(
        algorithm,
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )


def token(algorithm: str, number: int, **changed: Any) -> str:
    """A token of this user; the same for all but for what a library adds."""
    now = datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(number),
        "iat": now,
        "exp": now + timedelta(hours=1),
        "jti": f"token-{number}",
        "client_id": AUDIENCE,
        "type": "access",  # where authx has the kind of a token; the others have it in the header
        "fresh": False,
    }
    signing = keys(algorithm).signing
    return jwt.encode({**claims, **changed}, signing, algorithm, headers={"typ": "at+jwt"})


def bearer(text: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {text}".encode())]


def guarded(
    algorithm: str, current_user: Callable[..., Any], admin_only: Callable[..., Any]
) -> FastAPI:
    """The app with the base route for admins, and what requests to it carry.

    Every way must refuse: no token, one that is altered, expired or for someone else; the viewer,
    and who is no longer active.
    """
    router = APIRouter()

    @router.get("/items/{item_id}", dependencies=[Depends(admin_only)])
    async def read_item(
        item_id: int, user: Annotated[Any, Depends(current_user)]
    ) -> dict[str, Any]:
        assert user.role == "admin"
        return item(item_id)

    app = FastAPI()
    app.include_router(router)
    good = token(algorithm, ADMIN)
    app.state.headers = bearer(good)
    app.state.refused = [
        [],
        bearer(good[:-8] + "AAAAAAAA"),
        bearer(token(algorithm, ADMIN, exp=datetime.now(UTC) - timedelta(hours=1))),
        bearer(token(algorithm, ADMIN, aud="others")),
        bearer(token(algorithm, VIEWER)),
        bearer(token(algorithm, FORMER)),
    ]
    return app
