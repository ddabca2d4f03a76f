"""`roles`, `scopes`, `permissions` and how they combine."""

from enum import Enum, StrEnum
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_kit.auth import (
    AccessClaims,
    Caller,
    Principal,
    Requirement,
    permissions,
    roles,
    scopes,
)
from fastapi_kit.errors import ConfigurationError
from tests.auth.accounts import NOW


def caller(**holds: Any) -> Caller[object]:
    held_scopes = frozenset(holds.pop("token", ()))
    claims = AccessClaims("1", held_scopes, "id", NOW, NOW)
    return Caller(object(), Principal("1", **holds), claims)


def test_several_names_mean_all() -> None:
    both = roles("admin", "editor")

    assert both.is_met_by(caller(roles={"admin", "editor"}))
    assert not both.is_met_by(caller(roles={"admin"}))


def test_permissions_are_not_roles() -> None:
    assert permissions("catalog").is_met_by(caller(permissions={"catalog"}))
    assert not permissions("catalog").is_met_by(caller(roles={"catalog"}))


def test_scopes_come_from_the_token() -> None:
    assert scopes("items:write").is_met_by(caller(token={"items:write"}))
    assert not scopes("items:write").is_met_by(caller(scopes={"items:write"}))


def test_a_scope_taken_from_the_user_no_longer_counts_in_the_token() -> None:
    assert not scopes("a").is_met_by(caller(token={"a", "b"}, scopes={"b"}))


@pytest.mark.parametrize(("a", "b"), list(product([True, False], repeat=2)))
def test_and_needs_both_or_needs_one(a: bool, b: bool) -> None:
    who = caller(roles={"a"} if a else set(), permissions={"b"} if b else set())

    assert (roles("a") & permissions("b")).is_met_by(who) is (a and b)
    assert (roles("a") | permissions("b")).is_met_by(who) is (a or b)


def test_requirements_are_equal_when_they_say_the_same() -> None:
    a, b, c = roles("a"), scopes("b"), permissions("c")

    assert a & b & c == c & (b & a)
    assert a | b | c == c | (b | a)
    assert hash(a & b) == hash(b & a)
    assert a & b != a | b
    assert roles("x") != permissions("x")
    assert roles("a", "b") == roles("b", "a")


names = st.sampled_from(["a", "b", "c"])
requirements = st.recursive(
    st.builds(roles, names) | st.builds(scopes, names) | st.builds(permissions, names),
    lambda inner: (
        st.builds(lambda x, y: x & y, inner, inner) | st.builds(lambda x, y: x | y, inner, inner)
    ),
    max_leaves=8,
)


@given(requirements)
@settings(max_examples=100)
def test_nothing_is_met_by_holding_nothing(requirement: Requirement) -> None:
    assert not requirement.is_met_by(caller())


@given(requirements)
@settings(max_examples=100)
def test_everything_is_met_by_holding_everything(requirement: Requirement) -> None:
    everything = {"a", "b", "c"}

    assert requirement.is_met_by(caller(roles=everything, permissions=everything, token=everything))


@given(requirements)
@settings(max_examples=100)
def test_required_scopes_are_those_without_which_no_one_passes(requirement: Requirement) -> None:
    everything = {"a", "b", "c"}
    needed = {
        name
        for name in everything
        if not requirement.is_met_by(
            caller(roles=everything, permissions=everything, token=everything - {name})
        )
    }

    assert requirement.required_scopes() == needed
    assert requirement.required_scopes() <= requirement.mentioned_scopes()


@pytest.mark.parametrize("make", [roles, scopes, permissions])
def test_an_empty_requirement_is_refused_when_defined(make: Any) -> None:
    with pytest.raises(ConfigurationError, match="names nothing"):
        make()


@pytest.mark.parametrize("make", [roles, scopes, permissions])
@pytest.mark.parametrize("name", ["", None, 1, ("a",)])
def test_a_name_that_is_no_string_is_refused_when_defined(make: Any, name: Any) -> None:
    with pytest.raises(ConfigurationError, match="non-empty string"):
        make(name)


@pytest.mark.parametrize("name", ["two words", 'a"b', "a\\b", "ä", "a\n"])
def test_a_scope_that_no_client_can_ask_for_is_refused_when_defined(name: str) -> None:
    with pytest.raises(ConfigurationError, match="RFC 6749"):
        scopes(name)


def test_python_and_or_not_are_refused_since_they_would_drop_a_requirement() -> None:
    with pytest.raises(TypeError, match="combine requirements with &"):
        _ = roles("a") and roles("b")


def test_there_is_no_negation() -> None:
    with pytest.raises(TypeError):
        ~roles("a")  # type: ignore[operator]


def test_a_requirement_combines_with_requirements_only() -> None:
    with pytest.raises(TypeError):
        roles("a") & "admin"
    with pytest.raises(TypeError):
        roles("a") | "admin"


class Kind(StrEnum):
    ADMIN = "admin"


class OldKind(str, Enum):  # noqa: UP042  # many apps still have these
    ADMIN = "admin"


def test_names_may_be_members_of_a_string_enum() -> None:
    assert roles(Kind.ADMIN) == roles(OldKind.ADMIN) == roles("admin")
    assert roles(Kind.ADMIN).is_met_by(caller(roles={OldKind.ADMIN}))
    assert str(roles(OldKind.ADMIN)) == "role admin"


@pytest.mark.parametrize(
    ("requirement", "sentence"),
    [
        (roles("admin"), "role admin"),
        (roles("b", "a"), "roles a and b"),
        (
            scopes("w") & (roles("editor") | permissions("catalog")),
            "(permission catalog or role editor) and scope w",
        ),
        (
            (scopes("w") & roles("editor")) | roles("admin"),
            "(role editor and scope w) or role admin",
        ),
        (roles("a", "b") | roles("c"), "(roles a and b) or role c"),
    ],
)
def test_a_requirement_reads_as_a_sentence(requirement: Requirement, sentence: str) -> None:
    assert str(requirement) == sentence


@pytest.mark.parametrize("names", ["admin", b"admin"])
@pytest.mark.parametrize("kind", ["roles", "permissions", "scopes"])
def test_a_principal_refuses_one_string_in_place_of_a_collection(kind: str, names: Any) -> None:
    with pytest.raises(TypeError, match="is one string"):
        Principal("1", **{kind: names})


@pytest.mark.parametrize("subject", ["", 7, None, "x" * 256, "a\nb", "\ud800"])
def test_a_principal_refuses_an_unusable_subject(subject: Any) -> None:
    with pytest.raises(TypeError, match="printable"):
        Principal(subject)


@pytest.mark.parametrize("active", [None, 1, "no"])
def test_a_principal_refuses_an_active_that_is_no_bool(active: Any) -> None:
    with pytest.raises(TypeError, match="not a bool"):
        Principal("1", active=active)
