"""Current user, role guard and log-in as the kit has them."""

from collections.abc import Callable
from functools import partial

from fastapi import FastAPI

from benchmarks.accounts import (
    ADMIN,
    AUDIENCE,
    ISSUER,
    Account,
    MemoryStore,
    SQLStore,
    Store,
    guarded,
    hashed_password,
    keys,
    token,
)
from fastapi_kit.auth import (
    Auth,
    KeyRing,
    Principal,
    TokenIssuer,
    TokenPolicy,
    TokenVerifier,
    auth_router,
    roles,
)

POLICY = TokenPolicy(issuer=ISSUER, audience=AUDIENCE)


class AccountUsers:
    """The kit's view of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def get(self, subject: str) -> Account | None:
        return await self.store.get(int(subject))

    async def get_by_login(self, login: str) -> Account | None:
        assert isinstance(self.store, MemoryStore)
        return await self.store.get_by_email(login)

    def password_hash(self, user: Account) -> str | None:
        return user.hashed_password

    async def set_password_hash(self, user: Account, password_hash: str) -> None:
        user.hashed_password = password_hash

    def principal(self, user: Account) -> Principal:
        return Principal(str(user.id), roles=[user.role], active=user.is_active)


def ring(algorithm: str) -> KeyRing:
    signing = keys(algorithm).signing
    if algorithm == "HS256":
        return KeyRing.from_secret(None, signing)
    return KeyRing.from_pem(None, signing, alg=algorithm)


def make_auth(algorithm: str, store: Store) -> Auth[Account]:
    issuer = TokenIssuer(POLICY, ring(algorithm))
    return Auth(users=AccountUsers(store), issuer=issuer, token_url="/auth/token")


def make(algorithm: str, make_store: Callable[[], Store]) -> FastAPI:
    auth = make_auth(algorithm, make_store())
    return guarded(algorithm, auth.current_user, auth.require(roles("admin")))


hs256 = partial(make, "HS256", MemoryStore)
rs256 = partial(make, "RS256", MemoryStore)
es256 = partial(make, "ES256", MemoryStore)
sql = partial(make, "HS256", SQLStore)


def log_in() -> FastAPI:
    """The token route, and a health check beside it."""
    auth = make_auth("HS256", MemoryStore(hashed_password()))
    app = FastAPI()

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    app.include_router(auth_router(auth), prefix="/auth")
    return app


def verify(algorithm: str) -> Callable[[], object]:
    """Verifies one token."""
    return partial(TokenVerifier(POLICY, ring(algorithm)).verify, token(algorithm, ADMIN))


verify_hs256, verify_rs256, verify_es256 = (
    partial(verify, algorithm) for algorithm in ("HS256", "RS256", "ES256")
)
