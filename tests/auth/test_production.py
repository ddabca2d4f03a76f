"""What is for tests only, and production settings."""

from collections.abc import Callable
from inspect import Signature
from secrets import token_urlsafe
from typing import Annotated, Any
from unittest.mock import Mock

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from starlette.middleware.gzip import GZipMiddleware

from fastapi_kit.app import setup_app
from fastapi_kit.auth import (
    Auth,
    KeyRing,
    MemoryUsers,
    PasswordHasher,
    Principal,
    TokenPolicy,
    TokenVerifier,
    auth_router,
    roles,
    scopes,
)
from fastapi_kit.errors import add_error_handlers
from fastapi_kit.settings import AppSettings
from fastapi_kit.testing import app_client

from .accounts import SCOPES, SECRET

AnyAuth = Auth[Any]
Way = Callable[[FastAPI, AnyAuth], None]


def an_auth(hasher: PasswordHasher) -> AnyAuth:
    return Auth.from_secret(
        SECRET, users=MemoryUsers(), token_url="/token", scopes=SCOPES, hasher=hasher
    )


def depends_on(dependency: Callable[[AnyAuth], Any]) -> Way:
    def add(app: FastAPI, auth: AnyAuth) -> None:
        @app.get("/x", dependencies=[Depends(dependency(auth))])
        async def read() -> None: ...

    return add


def beneath_a_dependency(app: FastAPI, auth: AnyAuth) -> None:
    async def name(user: Annotated[Principal, Depends(auth.current_user)]) -> str:
        raise AssertionError  # pragma: no cover  # never called

    depends_on(lambda _auth: name)(app, auth)


def websocket(app: FastAPI, auth: AnyAuth) -> None:
    @app.websocket("/x", dependencies=[Depends(auth.current_user)])
    async def listen(websocket: WebSocket) -> None: ...


def included(app: FastAPI, auth: AnyAuth) -> None:
    router = APIRouter()

    @router.get("/x")
    async def read() -> None: ...

    app.include_router(router, prefix="/v1", dependencies=[Depends(auth.current_user)])


def mounted(app: FastAPI, auth: AnyAuth) -> None:
    inner = FastAPI()
    add_error_handlers(inner)
    depends_on(lambda auth: auth.current_user)(inner, auth)
    app.mount("/inner", inner)


def mounted_within_a_middleware(app: FastAPI, auth: AnyAuth) -> None:
    inner = FastAPI()
    add_error_handlers(inner)
    log_in(inner, auth)
    app.mount("/inner", GZipMiddleware(inner))


def log_in(app: FastAPI, auth: AnyAuth) -> None:
    app.include_router(auth_router(auth), prefix="/auth")


WAYS: dict[str, Way] = {
    "user": depends_on(lambda auth: auth.current_user),
    "optional-user": depends_on(lambda auth: auth.optional_user),
    "scheme": depends_on(lambda auth: auth.scheme),
    "role": depends_on(lambda auth: auth.require(roles("admin"))),
    "scope": depends_on(lambda auth: auth.require(scopes("items:read"))),
    "object": depends_on(lambda auth: auth.require_object(lambda: 1, lambda user, number: True)),
    "beneath-a-dependency": beneath_a_dependency,
    "websocket": websocket,
    "included": included,
    "mounted": mounted,
    "mounted-within-a-middleware": mounted_within_a_middleware,
    "log-in": log_in,
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


def make_app(environment: str, auth: AnyAuth, way: Way = included) -> FastAPI:
    app = FastAPI()
    settings = AppSettings.for_tests(
        environment=environment, secret_key=token_urlsafe(48), allowed_hosts=["testserver"]
    )
    setup_app(app, settings)
    way(app, auth)
    return app


async def start(app: FastAPI) -> None:
    async with app_client(app):
        pass


async def test_the_cheap_hasher_does_not_start(
    way: Way,
) -> None:
    app = make_app("production", an_auth(PasswordHasher.for_tests()), way)

    with pytest.raises(Exception, match=r"in production: this Auth has PasswordHasher\.for_tests"):
        await start(app)


async def test_the_full_hasher_starts(way: Way) -> None:
    await start(make_app("production", an_auth(PasswordHasher()), way))


async def test_the_whole_path_is_told() -> None:
    app = make_app("production", an_auth(PasswordHasher.for_tests()), mounted_within_a_middleware)

    with pytest.raises(Exception, match="'/inner/auth/token' in production"):
        await start(app)


async def test_a_mock_in_place_of_a_dependency_starts() -> None:
    def mocked(app: FastAPI, auth: AnyAuth) -> None:
        dependency = Mock(__signature__=Signature())
        app.get("/x", dependencies=[Depends(dependency)])(list)

    await start(make_app("production", an_auth(PasswordHasher()), mocked))


async def test_a_hasher_of_ones_own_starts() -> None:
    class Own:
        """Not a subclass."""

    await start(make_app("production", an_auth(Own())))  # type: ignore[arg-type]


async def test_staging_is_as_production() -> None:
    with pytest.raises(Exception, match="in staging: this Auth has"):
        await start(make_app("staging", an_auth(PasswordHasher.for_tests())))


@pytest.mark.parametrize("environment", ["test", "development"])
async def test_elsewhere_the_cheap_hasher_starts(environment: str) -> None:
    await start(make_app(environment, an_auth(PasswordHasher.for_tests())))


async def test_without_settings_there_is_no_production() -> None:
    app = FastAPI()
    setup_app(app)
    included(app, an_auth(PasswordHasher.for_tests()))

    await start(app)


async def test_an_auth_without_users_has_no_hasher_to_refuse() -> None:
    verifier = TokenVerifier(TokenPolicy(issuer="urn:other"), KeyRing.from_secret(None, SECRET))

    await start(make_app("production", Auth(verifiers=[verifier])))
