"""authx: its verified token and current subject, with active user and role checked by hand."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from authx import AuthX, AuthXConfig
from fastapi import Depends, FastAPI, HTTPException

from benchmarks.accounts import (
    AUDIENCE,
    ISSUER,
    Account,
    MemoryStore,
    SQLStore,
    Store,
    guarded,
    keys,
)


def make(algorithm: str, make_store: Callable[[], Store]) -> FastAPI:
    held, store = keys(algorithm), make_store()
    settings: Any = {
        "JWT_ALGORITHM": algorithm,
        "JWT_SECRET_KEY": held.signing,
        "JWT_PRIVATE_KEY": held.signing,
        "JWT_PUBLIC_KEY": held.verifying,
        "JWT_DECODE_AUDIENCE": AUDIENCE,
        "JWT_DECODE_ISSUER": ISSUER,
    }
    auth: AuthX[Any] = AuthX(config=AuthXConfig(**settings))

    async def get(uid: str) -> Account | None:
        return await store.get(int(uid))

    auth.set_subject_getter(get)  # type: ignore[arg-type]  # it is awaited, whatever its type says

    async def current_user(
        user: Annotated[Account | None, Depends(auth.get_current_subject)],
    ) -> Account:
        if user is None or not user.is_active:
            raise HTTPException(status_code=401, detail="Inactive user")
        return user

    async def require_admin(user: Annotated[Account, Depends(current_user)]) -> None:
        if user.role != "admin":
            raise HTTPException(status_code=403, detail="Not enough permissions")

    app = guarded(algorithm, current_user, require_admin)
    auth.handle_errors(app)
    return app


hs256 = partial(make, "HS256", MemoryStore)
rs256 = partial(make, "RS256", MemoryStore)
es256 = partial(make, "ES256", MemoryStore)
sql = partial(make, "HS256", SQLStore)
