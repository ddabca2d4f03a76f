"""Current user and role guard as FastAPI's tutorial teaches them, with PyJWT and pwdlib.

With what the tutorial leaves out and the kit has: issuer, audience, required claims, the token's
kind, and keys that are parsed once.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

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

oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token")
REQUIRED = ["exp", "iat", "sub", "iss", "aud", "jti"]


def unauthorized() -> HTTPException:
    return HTTPException(
        status_code=401,
        detail="Could not validate credentials",
        headers={"WWW-Authenticate": "Bearer"},
    )


def prepared(algorithm: str) -> Any:
    text = keys(algorithm).verifying
    return text if algorithm == "HS256" else load_pem_public_key(text.encode())


def decoder(algorithm: str) -> Callable[[str], dict[str, Any]]:
    key = prepared(algorithm)

    def decode(text: str) -> dict[str, Any]:
        whole = jwt.decode_complete(
            text,
            key,
            algorithms=[algorithm],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": REQUIRED},
        )
        if whole["header"].get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("not an access token")
        claims: dict[str, Any] = whole["payload"]
        return claims

    return decode


def make(algorithm: str, make_store: Callable[[], Store]) -> FastAPI:
    decode, store = decoder(algorithm), make_store()

    async def get_current_user(text: Annotated[str, Depends(oauth2_scheme)]) -> Account:
        try:
            number = int(decode(text)["sub"])
        except (jwt.InvalidTokenError, ValueError):
            raise unauthorized() from None
        user = await store.get(number)
        if user is None:
            raise unauthorized()
        return user

    async def get_current_active_user(
        user: Annotated[Account, Depends(get_current_user)],
    ) -> Account:
        if not user.is_active:
            raise unauthorized()
        return user

    async def require_admin(user: Annotated[Account, Depends(get_current_active_user)]) -> None:
        if user.role != "admin":
            raise HTTPException(status_code=403, detail="Not enough permissions")

    return guarded(algorithm, get_current_active_user, require_admin)


hs256 = partial(make, "HS256", MemoryStore)
rs256 = partial(make, "RS256", MemoryStore)
es256 = partial(make, "ES256", MemoryStore)
sql = partial(make, "HS256", SQLStore)


def log_in() -> FastAPI:
    """The tutorial's token route: ``async def``, and the password verified in it."""
    store = MemoryStore(hashed_password())
    password_hash = PasswordHash((Argon2Hasher(),))
    app = FastAPI()

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/auth/token")
    async def get_token(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
        user = await store.get_by_email(form.username)
        if user is None or not password_hash.verify(form.password, user.hashed_password):
            raise HTTPException(status_code=401, detail="Incorrect username or password")
        return {"access_token": token("HS256", ADMIN), "token_type": "bearer"}

    return app


def pyjwt(algorithm: str) -> Callable[[], object]:
    """Verifies one token."""
    return partial(decoder(algorithm), token(algorithm, ADMIN))


pyjwt_hs256, pyjwt_rs256, pyjwt_es256 = (
    partial(pyjwt, algorithm) for algorithm in ("HS256", "RS256", "ES256")
)
