"""`RoleHierarchy`: roles that include others."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from fastapi_kit.auth import Principal, RoleHierarchy, permissions, roles
from fastapi_kit.errors import ConfigurationError
from fastapi_kit.testing.users import as_user
from tests.auth.accounts import Accounts, User, bearer, get, make_app, make_auth
from tests.auth.test_callers import socket_app

LEVELS = RoleHierarchy({"admin": ["editor"], "editor": {"viewer", "author"}})


def expand(*names: str, hierarchy: RoleHierarchy = LEVELS) -> set[str]:
    return set(hierarchy.expand(frozenset(names)))


def test_a_role_includes_all_below_it() -> None:
    assert expand("admin") == {"admin", "editor", "viewer", "author"}
    assert expand("editor") == {"editor", "viewer", "author"}


def test_a_role_includes_nothing_above_or_beside_it() -> None:
    assert expand("viewer") == {"viewer"}
    assert expand("viewer", "other") == {"viewer", "other"}
    assert expand() == set()


def test_there_may_be_several_ways_down() -> None:
    diamond = RoleHierarchy({"a": ["b", "c"], "b": ["d"], "c": ["d"]})

    assert expand("a", hierarchy=diamond) == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    "includes",
    [
        {"a": ["a"]},
        {"a": ["b"], "b": ["a"]},
        {"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]},
    ],
)
def test_a_circle_is_refused(includes: dict[str, list[str]]) -> None:
    with pytest.raises(ConfigurationError, match=r"in a circle: \w > .*; break it") as raised:
        RoleHierarchy(includes)

    assert raised.value.__context__ is None


@pytest.mark.parametrize("includes", [{"a": "b"}, {"a": [""]}, {"a": [1]}, {"": ["a"]}])
def test_names_that_are_none_are_refused(includes: Any) -> None:
    with pytest.raises(TypeError):
        RoleHierarchy(includes)


@given(st.dictionaries(st.integers(0, 12), st.sets(st.integers(0, 12), max_size=4), max_size=12))
@settings(max_examples=100)
def test_what_is_included_is_what_can_be_reached(edges: dict[int, set[int]]) -> None:
    downwards = {str(a): [str(b) for b in below if b < a] for a, below in edges.items()}
    hierarchy = RoleHierarchy(downwards)

    for role in map(str, range(13)):
        reached, waiting = set[str](), [role]
        while waiting:
            reached.add(found := waiting.pop())
            waiting += downwards.get(found, [])
        assert expand(role, hierarchy=hierarchy) == reached


def test_many_ways_down_take_no_time() -> None:
    ladder = {f"{n}{side}": [f"{n + 1}a", f"{n + 1}b"] for n in range(200) for side in "ab"}

    assert len(expand("0a", hierarchy=RoleHierarchy(ladder))) == 401


def test_it_tells_what_it_holds() -> None:
    assert repr(RoleHierarchy({"b": ["a"]})) == "RoleHierarchy({'a': [], 'b': ['a']})"


# --- behind Auth


async def test_a_guard_lets_in_who_has_a_role_above() -> None:
    admin, viewer = User(1, "ann", role="admin"), User(2, "bob", role="viewer")
    owner = User(3, "eve", role="owner", permissions=frozenset({"catalog"}), scopes=frozenset())
    auth = make_auth(
        Accounts([admin, viewer, owner]), hierarchy=RoleHierarchy({"owner": ["admin"]})
    )
    app = make_app(auth)

    statuses = [
        (await get(app, "/admin", bearer(auth, user))).status_code
        for user in (admin, viewer, owner)
    ]

    assert statuses == [200, 403, 200]


async def test_the_rest_of_the_principal_stays_as_it_is() -> None:
    user = User(3, "eve", role="owner", permissions=frozenset({"p"}), scopes=frozenset({"s"}))
    auth = make_auth(Accounts([user]), hierarchy=RoleHierarchy({"owner": ["admin"]}))
    (act,) = auth.overrides_for(user).values()

    caller = await act(HTTPConnection({"type": "http", "headers": []}))

    assert caller.principal == Principal(
        "3", roles={"owner", "admin"}, permissions={"p"}, scopes={"s"}
    )
    assert (roles("admin") & permissions("p")).is_met_by(caller)


async def test_as_user_and_websockets_know_it() -> None:
    owner = User(3, "eve", role="owner")
    auth = make_auth(Accounts([owner]), hierarchy=RoleHierarchy({"owner": ["admin"]}))
    app = socket_app(auth)

    with (
        as_user(app, auth, owner),
        TestClient(app) as client,
        client.websocket_connect("/ws") as socket,
    ):
        assert socket.receive_json() == 3


async def test_without_it_roles_stand_for_themselves() -> None:
    owner = User(3, "eve", role="owner")
    auth = make_auth(Accounts([owner]))

    assert (await get(make_app(auth), "/admin", bearer(auth, owner))).status_code == 403
