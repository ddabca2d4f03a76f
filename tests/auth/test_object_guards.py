"""`auth.require_object`: may this user do this to that?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from fastapi_kit.auth import (
    Auth,
    InvalidTokenError,
    NotAllowedError,
    NotAuthenticatedError,
    roles,
    scopes,
)
from fastapi_kit.errors import ConfigurationError, NotFoundError, add_error_handlers
from fastapi_kit.testing.users import as_user
from tests.auth.accounts import Accounts, User, bearer, client_of, get, make_auth

ANN, BOB = User(1, "ann"), User(2, "bob")


@dataclass(frozen=True)
class Item:
    id: int
    owner_id: int


ITEMS = {1: Item(1, owner_id=1), 2: Item(2, owner_id=2)}
LOADED: list[int] = []


async def load_item(item_id: int) -> Item | None:
    LOADED.append(item_id)
    return ITEMS.get(item_id)


def owns(user: User, item: Item) -> bool:
    return user.id == item.owner_id


class NoSuchItemError(NotFoundError):
    type = "/problems/no-such-item"
    title = "No such item"


@pytest.fixture(autouse=True)
def nothing_loaded() -> None:
    LOADED.clear()


@pytest.fixture
def auth() -> Auth[User]:
    return make_auth(Accounts([ANN, BOB]))


def app_of(auth: Auth[User], predicate: Callable[..., Any] = owns, **options: Any) -> FastAPI:
    app = FastAPI()
    add_error_handlers(app)
    own_item = Annotated[Item, Depends(auth.require_object(load_item, predicate, **options))]

    @app.get("/items/{item_id}")
    async def read(item: own_item) -> int:
        return item.id

    @app.websocket("/items/{item_id}")
    async def talk(socket: WebSocket, item: own_item) -> None:
        await socket.accept()
        await socket.send_json(item.id)
        await socket.close()

    return app


async def test_the_object_is_given_to_who_may_have_it(auth: Auth[User]) -> None:
    response = await get(app_of(auth), "/items/1", bearer(auth, ANN))

    assert (response.status_code, response.json()) == (200, 1)


async def test_who_may_not_is_403(auth: Auth[User]) -> None:
    response = await get(app_of(auth), "/items/2", bearer(auth, ANN))

    assert response.status_code == 403
    assert response.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    assert response.json()["detail"] == "Requires that owns allows it."


async def test_no_such_object_is_404(auth: Auth[User]) -> None:
    assert (await get(app_of(auth), "/items/9", bearer(auth, ANN))).status_code == 404


@pytest.mark.parametrize("missing", [NotFoundError, NoSuchItemError])
async def test_a_hidden_object_cannot_be_told_from_none(auth: Auth[User], missing: Any) -> None:
    app = app_of(auth, hidden=True, missing=missing)
    async with client_of(app) as client:
        hidden = await client.get("/items/2", headers=bearer(auth, ANN))
        none = await client.get("/items/9", headers=bearer(auth, ANN))
        own = await client.get("/items/1", headers=bearer(auth, ANN))

    assert hidden.status_code == none.status_code == 404
    assert {**hidden.json(), "instance": ""} == {**none.json(), "instance": ""}
    assert hidden.headers.keys() == none.headers.keys()
    assert own.status_code == 200


@pytest.mark.parametrize("path", ["/items/1", "/items/9", "/items/x"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}])
async def test_nothing_is_looked_up_for_who_is_not_known(
    auth: Auth[User], path: str, headers: dict[str, str]
) -> None:
    response = await get(app_of(auth), path, headers)

    assert response.status_code == 401
    assert LOADED == []


async def test_a_bad_path_is_422_for_who_is_known(auth: Auth[User]) -> None:
    assert (await get(app_of(auth), "/items/x", bearer(auth, ANN))).status_code == 422


async def test_a_predicate_may_be_async(auth: Auth[User]) -> None:
    async def owns_later(user: User, item: Item) -> bool:
        return owns(user, item)

    app = app_of(auth, owns_later)

    assert (await get(app, "/items/1", bearer(auth, ANN))).status_code == 200
    assert (await get(app, "/items/2", bearer(auth, ANN))).status_code == 403


@pytest.mark.parametrize("hidden", [True, False])
async def test_a_predicate_that_raises_never_allows(auth: Auth[User], hidden: bool) -> None:
    def broken(user: User, item: Item) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await get(app_of(auth, broken, hidden=hidden), "/items/1", bearer(auth, ANN))


async def test_a_predicate_may_raise_an_answer_of_its_own(auth: Auth[User]) -> None:
    def closed(user: User, item: Item) -> bool:
        raise NotAllowedError("Closed on Sundays.")

    response = await get(app_of(auth, closed), "/items/1", bearer(auth, ANN))

    assert response.json()["detail"] == "Closed on Sundays."


@pytest.mark.parametrize("answer", [1, "yes", {"a"}, [True], None, 0, object()])
async def test_an_answer_that_is_no_bool_never_allows(auth: Auth[User], answer: Any) -> None:
    with pytest.raises(TypeError, match="not a bool"):
        await get(app_of(auth, lambda user, item: answer), "/items/1", bearer(auth, ANN))


async def test_the_object_is_loaded_once_for_guard_and_route(auth: Auth[User]) -> None:
    app = FastAPI()

    @app.get("/items/{item_id}", dependencies=[Depends(auth.require_object(load_item, owns))])
    async def read(item: Annotated[Item, Depends(load_item)]) -> int:
        return item.id

    assert (await get(app, "/items/1", bearer(auth, ANN))).json() == 1
    assert LOADED == [1]


async def test_guards_of_router_route_and_object_add_up(auth: Auth[User]) -> None:
    app = FastAPI(dependencies=[Depends(auth.require(roles("viewer")))])

    @app.get("/items/{item_id}", dependencies=[Depends(auth.require(scopes("items:read")))])
    async def read(item: Annotated[Item, Depends(auth.require_object(load_item, owns))]) -> int:
        return item.id

    async with client_of(app) as client:
        statuses = [
            (await client.get(path, headers=bearer(auth, ANN, *granted))).status_code
            for path, granted in (
                ("/items/1", ["items:read"]),
                ("/items/1", []),
                ("/items/2", ["items:read"]),
            )
        ]

    assert statuses == [200, 403, 403]


def test_websockets_too(auth: Auth[User]) -> None:
    with TestClient(app_of(auth)) as client:
        with client.websocket_connect("/items/1", headers=bearer(auth, ANN)) as socket:
            assert socket.receive_json() == 1
        for path, headers, status in (
            ("/items/1", {}, 401),
            ("/items/2", bearer(auth, ANN), 403),
            ("/items/9", bearer(auth, ANN), 404),
        ):
            with (
                pytest.raises(WebSocketDenialResponse) as denial,
                client.websocket_connect(path, headers=headers),
            ):
                pass  # pragma: no cover  # the connection is refused
            assert denial.value.status_code == status


async def test_as_user_replaces_the_caller_and_the_predicate_runs(auth: Auth[User]) -> None:
    app = app_of(auth)

    with as_user(app, auth, BOB):
        assert (await get(app, "/items/2")).json() == 2
        assert (await get(app, "/items/1")).status_code == 403


async def test_it_can_be_overridden(auth: Auth[User]) -> None:
    app = app_of(auth)
    app.dependency_overrides[auth.require_object(load_item, owns)] = lambda: Item(7, 7)

    assert (await get(app, "/items/1")).json() == 7


def test_guards_that_say_the_same_are_equal(auth: Auth[User]) -> None:
    guard = auth.require_object(load_item, owns)

    assert guard == auth.require_object(load_item, owns)
    assert guard != auth.require_object(load_item, owns, hidden=True)
    assert guard != auth.require_object(load_item, lambda user, item: True)
    assert guard != make_auth().require_object(load_item, owns)


@pytest.mark.parametrize(("load", "predicate"), [(None, owns), (load_item, True)])
def test_what_cannot_be_called_is_refused_when_defined(
    auth: Auth[User], load: Any, predicate: Any
) -> None:
    with pytest.raises(ConfigurationError, match="is not callable"):
        auth.require_object(load, predicate)


def test_it_tells_openapi_what_it_raises_and_who_may(auth: Auth[User]) -> None:
    def may_edit(user: User, item: Item) -> bool:
        """Owners and admins change items.

        Nobody else does.
        """
        raise NotImplementedError  # pragma: no cover

    plain, hidden = (
        auth.require_object(load_item, may_edit, hidden=hidden, missing=NoSuchItemError)
        for hidden in (False, True)
    )

    known = (NotAuthenticatedError, InvalidTokenError)
    assert plain.raises == (*known, NotAllowedError, NoSuchItemError)
    assert hidden.raises == (*known, NoSuchItemError)
    assert plain.description == "Owners and admins change items."


def test_openapi_shows_security_errors_and_the_sentence(auth: Auth[User]) -> None:
    (operation,) = app_of(auth).openapi()["paths"]["/items/{item_id}"].values()

    assert operation["security"] == [{"OAuth2PasswordBearer": []}]
    assert {"401", "403", "404"} <= operation["responses"].keys()
    assert "Requires that owns allows it." in operation["description"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["item_id"]
