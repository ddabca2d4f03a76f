"""`as_user` replaces who is calling, while guards keep running."""

import subprocess
import sys

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection

from fastapi_kit.auth import Auth
from fastapi_kit.testing.users import as_user
from tests.auth.accounts import Accounts, User, bearer, client_of, get, make_app, make_auth
from tests.auth.test_callers import socket_app

ADMIN = User(1, "ann", role="admin")
VIEWER = User(2, "bob")


@pytest.fixture
def auth() -> Auth[User]:
    return make_auth()


@pytest.fixture
def app(auth: Auth[User]) -> FastAPI:
    return make_app(auth)


async def test_the_user_is_the_caller_of_every_dependency(app: FastAPI, auth: Auth[User]) -> None:
    with as_user(app, auth, ADMIN):
        for path in ("/me", "/maybe", "/admin"):
            assert (await get(app, path)).json() == 1


async def test_guards_keep_running(app: FastAPI, auth: Auth[User]) -> None:
    with as_user(app, auth, VIEWER):
        assert (await get(app, "/admin")).status_code == 403


async def test_an_inactive_user_is_refused(app: FastAPI, auth: Auth[User]) -> None:
    with as_user(app, auth, User(3, "eve", active=False)):
        for path in ("/me", "/maybe", "/admin"):
            assert (await get(app, path)).status_code == 401


async def test_the_token_carries_every_scope_or_those_given(app: FastAPI, auth: Auth[User]) -> None:
    async with client_of(app) as client:
        with as_user(app, auth, VIEWER):
            assert (await client.post("/items")).status_code == 200
        with as_user(app, auth, VIEWER, scopes=["items:read"]):
            assert (await client.post("/items")).status_code == 403
        with as_user(app, auth, VIEWER, scopes=[]):
            assert (await client.post("/items")).status_code == 403


async def test_nothing_stays_behind(app: FastAPI, auth: Auth[User]) -> None:
    app.dependency_overrides[print] = print
    with pytest.raises(RuntimeError), as_user(app, auth, ADMIN):
        raise RuntimeError

    assert app.dependency_overrides == {print: print}
    assert (await get(app, "/me")).status_code == 401


async def test_blocks_may_be_nested(app: FastAPI, auth: Auth[User]) -> None:
    with as_user(app, auth, ADMIN):
        with as_user(app, auth, VIEWER):
            assert (await get(app, "/me")).json() == 2
        assert (await get(app, "/me")).json() == 1


async def test_a_token_in_the_request_does_not_matter(app: FastAPI, auth: Auth[User]) -> None:
    with as_user(app, auth, ADMIN):
        assert (await get(app, "/me", bearer(auth, VIEWER))).json() == 1


async def test_another_app_is_not_touched(app: FastAPI, auth: Auth[User]) -> None:
    with as_user(app, auth, ADMIN):
        assert (await get(make_app(auth), "/me")).status_code == 401


def test_websockets_too(auth: Auth[User]) -> None:
    app = socket_app(auth)

    with (
        as_user(app, auth, ADMIN),
        TestClient(app) as client,
        client.websocket_connect("/ws") as socket,
    ):
        assert socket.receive_json() == 1


async def test_code_outside_of_routes_is_told_the_same_afterwards(auth: Auth[User]) -> None:
    accounts = Accounts()
    auth = make_auth(accounts)
    app = make_app(auth)
    connection = HTTPConnection({"type": "http", "headers": [], "app": app})

    with as_user(app, auth, ADMIN):
        assert await auth.current_user(connection) is ADMIN
    caller = await auth.identify(connection)

    assert caller is not None
    assert caller.user is ADMIN
    assert accounts.asked == []


def test_a_scope_that_is_not_declared_is_refused(app: FastAPI, auth: Auth[User]) -> None:
    with (
        pytest.raises(ValueError, match="not declared"),
        as_user(app, auth, ADMIN, scopes=["items:fly"]),
    ):
        pass  # pragma: no cover  # never entered


def test_it_does_not_import_auth() -> None:
    program = (
        "import sys, fastapi_kit.testing.users\n"
        "print('fastapi_kit.auth' in sys.modules, 'jose' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "False False\n"
