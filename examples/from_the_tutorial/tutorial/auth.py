from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from jose import JWTError, jwt


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
app = FastAPI()

# --8<-- [start:create_access_token]
SECRET_KEY = "CHANGE_ME"
ALGORITHM = "HS256"


def create_access_token(data: dict[str, Any], expires_delta: timedelta | None = None) -> str:
    expire = datetime.now(UTC) + (expires_delta or timedelta(minutes=15))
    token: str = jwt.encode({**data, "exp": expire}, SECRET_KEY, algorithm=ALGORITHM)
    return token


# --8<-- [end:create_access_token]
# --8<-- [start:get_current_user]
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token")


async def get_current_user(token: Annotated[str, Depends(oauth2_scheme)]) -> User:
    refused = HTTPException(401, "Invalid token", headers={"WWW-Authenticate": "Bearer"})
    try:
        payload = jwt.decode(token, SECRET_KEY, algorithms=[ALGORITHM])
    except JWTError:
        raise refused from None
    user = USERS.get(payload.get("sub"))
    if user is None:
        raise refused
    return user


@app.get("/me")
async def me(user: Annotated[User, Depends(get_current_user)]) -> User:
    return user


# --8<-- [end:get_current_user]
# --8<-- [start:get_current_active_user]
async def get_current_active_user(user: Annotated[User, Depends(get_current_user)]) -> User:
    if user.disabled:
        raise HTTPException(400, "Inactive user")
    return user


@app.get("/orders")
async def orders(user: Annotated[User, Depends(get_current_active_user)]) -> list[str]:
    return [f"an order of {user.username}"]


# --8<-- [end:get_current_active_user]
# --8<-- [start:require_admin]
async def require_admin(user: Annotated[User, Depends(get_current_user)]) -> User:
    if user.role != "admin":
        raise HTTPException(403, "Forbidden")
    return user


@app.delete("/users/{username}", dependencies=[Depends(require_admin)])
async def delete_user(username: str) -> str:
    return f"{username} is gone"


# --8<-- [end:require_admin]
