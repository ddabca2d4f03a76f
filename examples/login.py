"""The smallest app with log-in, refresh and a role: ``uvicorn examples.login:app``, then /docs."""

from typing import Annotated

from fastapi import Depends, FastAPI

import fastapi_kit as kit
from fastapi_kit.auth import MemoryDenyList, MemoryRefreshStore, RefreshTokens

settings = kit.AppSettings()
hasher = kit.PasswordHasher.for_environment(settings.environment)
users = kit.MemoryUsers(hasher=hasher)
users.add("ann", "correct horse battery staple", roles={"admin"})
users.add("bob", "correct horse battery staple")

auth = kit.Auth.from_secret(
    settings.secret_key,
    users=users,
    token_url="/auth/token",
    hasher=hasher,
    denylist=MemoryDenyList(),
)
CurrentUser = Annotated[kit.Principal, Depends(auth.current_user)]
Admin = Annotated[kit.Principal, Depends(auth.require(kit.roles("admin")))]

app = FastAPI(**settings.app_options)
kit.setup_app(app, settings)
app.include_router(
    kit.auth_router(auth, refresh=RefreshTokens(MemoryRefreshStore())), prefix="/auth"
)


@app.get("/me")
async def read_me(user: CurrentUser) -> str:
    return f"Hello {user.subject}"


@app.get("/reports")
async def read_reports(admin: Admin) -> str:
    return f"For your eyes only, {admin.subject}"
