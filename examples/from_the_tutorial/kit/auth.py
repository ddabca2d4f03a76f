from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI

# --8<-- [start:import]
from fastapi_kit import AppSettings, Auth, Principal, auth_router, roles, setup_app

# --8<-- [end:import]


@dataclass
class User:
    username: str
    role: str = "user"
    disabled: bool = False


USERS = {
    "ada": User("ada", role="admin"),
    "bob": User("bob"),
    "eve": User("eve", role="admin", disabled=True),
}
PASSWORD_HASHES: dict[str, str] = {}


# --8<-- [start:users]
class Users:
    async def get(self, subject: str) -> User | None:
        return USERS.get(subject)

    async def get_by_login(self, login: str) -> User | None:
        return USERS.get(login)

    def password_hash(self, user: User) -> str | None:
        return PASSWORD_HASHES.get(user.username)

    async def set_password_hash(self, user: User, password_hash: str) -> None:
        PASSWORD_HASHES[user.username] = password_hash

    def principal(self, user: User) -> Principal:
        return Principal(user.username, roles={user.role}, active=not user.disabled)


settings = AppSettings()
auth = Auth.from_secret(settings.secret_key, users=Users(), token_url="/auth/token")
app = FastAPI()
setup_app(app)
app.include_router(auth_router(auth), prefix="/auth")
# --8<-- [end:users]

# --8<-- [start:create_access_token]
token = auth.create_access_token(subject="ada")
# --8<-- [end:create_access_token]

# --8<-- [start:get_current_user]
CurrentUser = Annotated[User, Depends(auth.current_user)]


@app.get("/me")
async def me(user: CurrentUser) -> User:
    return user


# --8<-- [end:get_current_user]
# --8<-- [start:get_current_active_user]
@app.get("/orders")
async def orders(user: CurrentUser) -> list[str]:
    return [f"an order of {user.username}"]


# --8<-- [end:get_current_active_user]
# --8<-- [start:require_admin]
require_admin = auth.require(roles("admin"))


@app.delete("/users/{username}", dependencies=[Depends(require_admin)])
async def delete_user(username: str) -> str:
    return f"{username} is gone"


# --8<-- [end:require_admin]
