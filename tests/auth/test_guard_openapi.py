"""What OpenAPI tells of guards: scopes, 401, 403, 503 and a sentence, router and route together."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from fastapi_kit.auth import Auth, MemoryDenyList, fresh, permissions, roles, scopes
from fastapi_kit.errors import add_error_handlers
from tests.auth.accounts import Accounts, Clock, User, bearer, client_of, make_auth
from tests.auth.test_callers import socket_app

ADMIN = User(1, "ann", role="admin", permissions=frozenset({"catalog"}))


async def nothing() -> None:
    """Change an item."""


@pytest.fixture
def auth() -> Auth[User]:
    return make_auth(Accounts([ADMIN]), denylist=MemoryDenyList(clock=Clock()))


@pytest.fixture
def app(auth: Auth[User]) -> FastAPI:
    app = FastAPI()
    add_error_handlers(app)
    inner = APIRouter(dependencies=[Depends(auth.require(scopes("items:read")))])
    inner.add_api_route(
        "/items",
        nothing,
        methods=["POST"],
        dependencies=[
            Depends(auth.require(scopes("items:write") & (roles("admin") | permissions("catalog"))))
        ],
    )
    outer = APIRouter(
        prefix="/api", dependencies=[Depends(auth.require(fresh(timedelta(hours=1))))]
    )
    outer.include_router(inner)
    app.include_router(outer)
    return app


@pytest.fixture
def operation(app: FastAPI) -> dict[str, Any]:
    found: dict[str, Any] = app.openapi()["paths"]["/api/items"]["post"]
    return found


def test_the_scopes_of_router_and_route_add_up(operation: dict[str, Any]) -> None:
    needed = [set(entry["OAuth2PasswordBearer"]) for entry in operation["security"]]

    assert set[str]().union(*needed) == {"items:read", "items:write"}


@pytest.mark.parametrize(
    ("status", "types"),
    [
        (
            "401",
            {
                "/problems/not-authenticated",
                "/problems/invalid-token",
                "/problems/stale-login",
            },
        ),
        ("403", {"/problems/not-allowed"}),
    ],
)
def test_each_problem_is_told(
    app: FastAPI, operation: dict[str, Any], status: str, types: set[str]
) -> None:
    schemas = app.openapi()["components"]["schemas"]
    schema = operation["responses"][status]["content"]["application/problem+json"]["schema"]
    named = [part["$ref"].rpartition("/")[2] for part in schema.get("oneOf", [schema])]

    assert {schemas[name]["properties"]["type"]["const"] for name in named} == types


def test_a_deny_list_adds_503(operation: dict[str, Any]) -> None:
    assert "503" in operation["responses"]


def test_each_guard_adds_its_sentence(operation: dict[str, Any]) -> None:
    for sentence in (
        "Change an item.",
        "Requires a log-in within the last hour.",
        "Requires scope items:read.",
        "Requires (permission catalog or role admin) and scope items:write.",
    ):
        assert sentence in operation["description"]


async def test_what_is_told_is_what_happens(app: FastAPI, auth: Auth[User]) -> None:
    def headers(*granted: str, fresh: bool = True) -> dict[str, str]:
        auth_time = auth.clock() if fresh else None
        token = auth.create_access_token(subject="1", scopes=granted, auth_time=auth_time)
        return {"Authorization": f"Bearer {token}"}

    both = ("items:read", "items:write")
    async with client_of(app) as client:
        answers = [
            await client.post("/api/items", headers=each)
            for each in (
                {},
                headers(*both, fresh=False),
                headers("items:write"),
                headers("items:read"),
                headers(*both),
            )
        ]

    assert [answer.status_code for answer in answers] == [401, 401, 403, 403, 200]
    assert [answer.json()["type"] for answer in answers[:4]] == [
        "/problems/not-authenticated",
        "/problems/stale-login",
        "/problems/not-allowed",
        "/problems/not-allowed",
    ]


def test_a_revoked_token_is_denied_a_websocket(auth: Auth[User]) -> None:
    headers = bearer(auth, ADMIN)
    with TestClient(socket_app(auth)) as client:
        with client.websocket_connect("/ws", headers=headers) as socket:
            assert socket.receive_json() == 1
        assert client.portal is not None
        token = headers["Authorization"].removeprefix("Bearer ")
        claims = client.portal.call(auth.verify_access_token, token)
        client.portal.call(auth.deny, claims)

        with (
            pytest.raises(WebSocketDenialResponse) as denial,
            client.websocket_connect("/ws", headers=headers),
        ):
            pass  # pragma: no cover  # the connection is refused

    assert denial.value.status_code == 401
