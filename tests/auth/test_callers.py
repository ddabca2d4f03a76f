"""Who is calling, and may they: RFC 6750 through real routes."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount
from starlette.testclient import WebSocketDenialResponse
from starlette.types import Receive, Scope, Send

from fastapi_kit.auth import Auth, permissions, roles, scopes
from tests.auth.accounts import Accounts, Clock, User, bearer, client_of, get, make_app, make_auth

VIEWER = User(1, "ann")
ADMIN = User(2, "bob", role="admin")
GONE = User(3, "eve", active=False)
EVERYONE = [VIEWER, ADMIN, GONE]
PROTECTED = ["/me", "/maybe", "/admin"]


@pytest.fixture
def accounts() -> Accounts:
    return Accounts(list(EVERYONE))


@pytest.fixture
def auth(accounts: Accounts) -> Auth[User]:
    return make_auth(accounts)


@pytest.fixture
def app(auth: Auth[User]) -> FastAPI:
    return make_app(auth)


async def test_the_user_of_the_token_is_given(app: FastAPI, auth: Auth[User]) -> None:
    assert (await get(app, "/me", bearer(auth, VIEWER))).json() == 1
    assert (await get(app, "/maybe", bearer(auth, VIEWER))).json() == 1
    assert (await get(app, "/admin", bearer(auth, ADMIN))).json() == 2


async def test_without_a_token_the_challenge_names_no_error(app: FastAPI) -> None:
    for path in ("/me", "/admin"):
        response = await get(app, path)

        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"


async def test_without_a_token_the_optional_user_is_none(app: FastAPI) -> None:
    response = await get(app, "/maybe")

    assert (response.status_code, response.json()) == (200, None)


@pytest.mark.parametrize("value", ["Basic YTpi", "Digest x", "", "Token abc", "Bearerabc"])
async def test_another_scheme_counts_as_no_token(app: FastAPI, value: str) -> None:
    response = await get(app, "/me", {"Authorization": value})

    assert response.headers["www-authenticate"] == "Bearer"
    assert (await get(app, "/maybe", {"Authorization": value})).status_code == 200


MALFORMED = [
    "Bearer",
    "Bearer ",
    "bearer",
    "Bearer a b",
    "Bearer\ta",
    "Bearer,",
    "Bearer a, Bearer b",
    "Bearer not-a-token",
    "BEARER ...",
]


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize("value", MALFORMED)
async def test_a_malformed_header_is_an_invalid_token(app: FastAPI, path: str, value: str) -> None:
    response = await get(app, path, {"Authorization": value})

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize("other", ["Bearer x", "Basic YTpi", "the same"])
@pytest.mark.parametrize("first", [True, False])
async def test_two_authorization_headers_are_refused(
    app: FastAPI, auth: Auth[User], path: str, other: str, first: bool
) -> None:
    """A proxy may have checked one of them, and the app read the other."""
    good = bearer(auth, ADMIN)["Authorization"]
    pair = [("Authorization", good), ("Authorization", good if other == "the same" else other)]

    response = await get(app, path, pair if first else pair[::-1])

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("spelling", ["Bearer {}", "bearer {}", "BEARER   {}"])
async def test_the_scheme_is_read_in_any_case(
    app: FastAPI, auth: Auth[User], spelling: str
) -> None:
    token = auth.create_access_token(subject="1")

    response = await get(app, "/me", {"Authorization": spelling.format(token)})

    assert response.status_code == 200


@pytest.mark.parametrize("path", PROTECTED)
async def test_an_expired_token_is_refused(accounts: Accounts, path: str) -> None:
    clock = Clock()
    auth = make_auth(accounts, clock=clock)
    headers = bearer(auth, ADMIN)
    clock.advance(minutes=30)

    response = await get(make_app(auth), path, headers)

    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize("user", [GONE, User(99, "nobody")])
async def test_a_user_who_is_gone_or_inactive_is_refused(
    app: FastAPI, auth: Auth[User], path: str, user: User
) -> None:
    response = await get(app, path, bearer(auth, user))

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_user_with_another_subject_than_the_token_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Sloppy(Accounts):
        async def get(self, subject: str) -> User | None:
            return ADMIN

    auth = make_auth(Sloppy())
    with caplog.at_level("INFO", "fastapi_kit.auth"):
        response = await get(make_app(auth), "/me", bearer(auth, VIEWER))

    assert response.status_code == 401
    assert "another subject" in caplog.text


async def test_who_may_not_is_403_with_the_sentence(app: FastAPI, auth: Auth[User]) -> None:
    response = await get(app, "/admin", bearer(auth, VIEWER))

    assert response.status_code == 403
    assert response.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    assert response.json() == {"detail": "Requires role admin."}


async def test_a_missing_scope_is_named_in_the_challenge(app: FastAPI, auth: Auth[User]) -> None:
    async with client_of(app) as client:
        refused = await client.post("/items", headers=bearer(auth, ADMIN, "items:read"))
        allowed = await client.post("/items", headers=bearer(auth, VIEWER, "items:write"))

    assert refused.status_code == 403
    assert refused.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", scope="items:write"'
    )
    assert allowed.json() == 1


async def test_a_role_that_is_taken_away_is_gone_with_the_next_request(
    auth: Auth[User], accounts: Accounts, app: FastAPI
) -> None:
    user = User(4, "cat", role="admin")
    accounts.rows.append(user)
    headers = bearer(auth, user)
    assert (await get(app, "/admin", headers)).status_code == 200

    user.role = "viewer"

    assert (await get(app, "/admin", headers)).status_code == 403


async def test_guards_of_router_and_route_add_up_and_load_the_user_once(
    auth: Auth[User], accounts: Accounts
) -> None:
    user = User(5, "dan", role="editor", permissions=frozenset({"catalog"}))
    accounts.rows.append(user)
    router = APIRouter(dependencies=[Depends(auth.require(roles("editor")))])

    @router.get("/", dependencies=[Depends(auth.require(permissions("catalog")))])
    async def read(
        user: Annotated[User, Depends(auth.current_user)],
        maybe: Annotated[User | None, Depends(auth.optional_user)],
        guarded: Annotated[User, Depends(auth.require(scopes("items:read")))],
    ) -> bool:
        return user is maybe is guarded

    app = FastAPI()
    app.include_router(router)

    response = await get(app, "/", bearer(auth, user, "items:read"))

    assert response.json() is True
    assert accounts.asked == ["5"]
    user.permissions = frozenset()
    assert (await get(app, "/", bearer(auth, user, "items:read"))).status_code == 403
    user.role, user.permissions = "viewer", frozenset({"catalog"})
    assert (await get(app, "/", bearer(auth, user, "items:read"))).status_code == 403


async def test_a_server_that_shares_its_state_does_not_share_callers(
    app: FastAPI, auth: Auth[User]
) -> None:
    state: dict[str, Any] = {}

    async def careless(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": state}, receive, send)

    first = await get(careless, "/me", bearer(auth, ADMIN))  # type: ignore[arg-type]
    second = await get(careless, "/maybe")  # type: ignore[arg-type]

    assert (first.json(), second.json()) == (2, None)


async def test_two_auths_in_one_app_do_not_know_each_others_callers(accounts: Accounts) -> None:
    one, two = make_auth(accounts, issuer="one"), make_auth(accounts, issuer="two")
    app = FastAPI()

    @app.get("/")
    async def read(
        mine: Annotated[User | None, Depends(one.optional_user)],
        yours: Annotated[User, Depends(two.current_user)],
    ) -> None: ...

    response = await get(app, "/", bearer(one, ADMIN))

    assert response.status_code == 401


async def test_a_store_that_is_down_is_never_a_refusal_or_an_anonymous_caller() -> None:
    class Down(Accounts):
        async def get(self, subject: str) -> User | None:
            raise ConnectionError

    auth = make_auth(Down())

    for path in PROTECTED:
        with pytest.raises(ConnectionError):
            await get(make_app(auth), path, bearer(auth, ADMIN))


async def test_middleware_may_ask_who_is_calling(auth: Auth[User], accounts: Accounts) -> None:
    app = make_app(auth)
    callers: list[object] = []

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        callers.append(await auth.identify(HTTPConnection(scope)))
        await app(scope, receive, send)

    await get(middleware, "/me", bearer(auth, ADMIN, "items:read"))  # type: ignore[arg-type]
    await get(middleware, "/maybe")  # type: ignore[arg-type]

    caller, nobody = callers
    assert nobody is None
    assert caller.user is ADMIN  # type: ignore[attr-defined]
    assert caller.scopes == {"items:read"}  # type: ignore[attr-defined]
    assert accounts.asked == ["2"]


async def test_no_log_line_and_no_answer_holds_the_token(
    app: FastAPI, auth: Auth[User], caplog: pytest.LogCaptureFixture
) -> None:
    token = auth.create_access_token(subject="3")
    with caplog.at_level("DEBUG"):
        response = await get(app, "/me", {"Authorization": f"Bearer {token}"})

    assert "the user is not active" in caplog.text
    assert token not in caplog.text + response.text
    assert token.split(".")[2] not in caplog.text + response.text + str(response.headers)


# --- WebSockets


def socket_app(auth: Auth[User]) -> FastAPI:
    app = FastAPI()

    @app.websocket("/ws")
    async def talk(
        socket: WebSocket, user: Annotated[User, Depends(auth.require(roles("admin")))]
    ) -> None:
        await socket.accept()
        await socket.send_json(user.id)
        await socket.close()

    return app


def test_a_websocket_knows_its_caller(auth: Auth[User]) -> None:
    with (
        TestClient(socket_app(auth)) as client,
        client.websocket_connect("/ws", headers=bearer(auth, ADMIN)) as socket,
    ):
        assert socket.receive_json() == 2


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (lambda auth: {}, 401),
        (lambda auth: {"Authorization": "Bearer x"}, 401),
        (lambda auth: bearer(auth, VIEWER), 403),
    ],
)
def test_a_bare_app_denies_a_websocket(
    auth: Auth[User], headers: Callable[[Auth[User]], dict[str, str]], status: int
) -> None:
    with (
        TestClient(socket_app(auth)) as client,
        pytest.raises(WebSocketDenialResponse) as denial,
        client.websocket_connect("/ws", headers=headers(auth)),
    ):
        pass  # pragma: no cover  # the connection is refused

    assert denial.value.status_code == status


@pytest.fixture
def sockets(auth: Auth[User]) -> Iterator[TestClient]:
    app = FastAPI()

    @app.websocket("/me")
    async def me(socket: WebSocket, user: Annotated[User, Depends(auth.current_user)]) -> None:
        await socket.accept()
        await socket.send_json(user.id)
        await socket.close()

    @app.websocket("/maybe")
    async def maybe(
        socket: WebSocket, user: Annotated[User | None, Depends(auth.optional_user)]
    ) -> None:
        await socket.accept()
        await socket.send_json(None if user is None else user.id)
        await socket.close()

    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/me", "/maybe"])
def test_a_websocket_has_a_current_and_an_optional_user(
    sockets: TestClient, auth: Auth[User], path: str
) -> None:
    with sockets.websocket_connect(path, headers=bearer(auth, VIEWER)) as socket:
        assert socket.receive_json() == 1


def test_a_websocket_without_a_token_has_no_optional_user(sockets: TestClient) -> None:
    with sockets.websocket_connect("/maybe") as socket:
        assert socket.receive_json() is None


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/me", {}),
        ("/me?access_token=x", {"Sec-WebSocket-Protocol": "bearer, x"}),
        ("/me", {"Authorization": "Bearer x"}),
        ("/maybe", {"Authorization": "Bearer x"}),
    ],
)
def test_a_websocket_is_denied_without_a_user(
    sockets: TestClient, path: str, headers: dict[str, str]
) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as denial,
        sockets.websocket_connect(path, headers=headers),
    ):
        pass  # pragma: no cover  # the connection is refused

    assert denial.value.status_code == 401


async def test_a_mounted_app_knows_its_caller(app: FastAPI, auth: Auth[User]) -> None:
    outer = Starlette(routes=[Mount("/inner", app)])

    response = await get(outer, "/inner/me", bearer(auth, VIEWER))  # type: ignore[arg-type]

    assert response.json() == 1


async def test_a_connection_without_an_app_has_no_overrides(auth: Auth[User]) -> None:
    connection = HTTPConnection({"type": "http", "headers": []})

    assert await auth.optional_user(connection) is None


# --- dependency_overrides


def test_dependencies_that_say_the_same_are_equal(auth: Auth[User]) -> None:
    assert auth.require(roles("a")) == auth.require(roles("a"))
    assert hash(auth.require(roles("a"))) == hash(auth.require(roles("a")))
    assert auth.require(roles("a")) != auth.require(roles("b"))
    assert auth.require(roles("a")) != make_auth().require(roles("a"))
    assert len({auth.current_user, auth.optional_user, auth.require(roles("a"))}) == 3


async def test_a_guard_and_the_current_user_can_be_overridden(
    app: FastAPI, auth: Auth[User]
) -> None:
    app.dependency_overrides[auth.require(roles("admin"))] = lambda: User(70, "x")
    app.dependency_overrides[auth.current_user] = lambda: User(71, "x")

    assert (await get(app, "/admin")).json() == 70
    assert (await get(app, "/me")).json() == 71
