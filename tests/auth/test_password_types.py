"""Passwords in schemas: which are taken, and that none is shown."""

from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from fastapi_kit.auth import Password, PasswordRules
from fastapi_kit.errors import ConfigurationError, add_error_handlers
from tests.auth.accounts import client_of

GOOD = "correct horse battery"


class Registration(BaseModel):
    password: Password


def message_of(rules: PasswordRules, password: str) -> str | None:
    try:
        TypeAdapter(Annotated[SecretStr, rules]).validate_python(password)
    except ValidationError as error:
        return error.errors()[0]["msg"]
    return None


@pytest.mark.parametrize("password", ["x" * 15, "x" * 128, "é" * 15, "\U0001f600" * 128])
def test_a_password_within_the_lengths_is_taken(password: str) -> None:
    assert Registration.model_validate({"password": password}).password == SecretStr(password)


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("", "The password must have 15 characters or more"),
        ("x" * 14, "The password must have 15 characters or more"),
        ("x" * 129, "The password must have 128 characters or fewer"),
        ("\ud800" * 20, "The password is not valid Unicode"),
    ],
)
def test_another_is_refused_with_the_rule_that_it_breaks(password: str, message: str) -> None:
    assert message_of(PasswordRules(), password) == message


@pytest.mark.parametrize(("password", "fits"), [("é" * 36, True), ("é" * 37, False)])
def test_bytes_are_counted_in_utf_8(password: str, fits: bool) -> None:
    message = message_of(PasswordRules(max_bytes=72), password)

    assert message == (None if fits else "The password must have 72 bytes or fewer in UTF-8")


@pytest.mark.parametrize("value", [None, 7, b"\xff", ["x"] * 20, {"a": 1}])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        Registration.model_validate({"password": value})


def test_the_hook_refuses_breached_and_common_ones() -> None:
    common = {"passwordpassword"}
    rules = PasswordRules(
        refuse=lambda password: "This password is well known" if password in common else None
    )

    assert message_of(rules, "passwordpassword") == "This password is well known"
    assert message_of(rules, GOOD) is None


def test_the_hook_sees_only_what_is_within_the_lengths() -> None:
    seen: list[str] = []

    message_of(PasswordRules(refuse=seen.append), "x" * 100_000)

    assert seen == []


def test_plain_text_may_have_the_rules_too() -> None:
    adapter = TypeAdapter(Annotated[str, PasswordRules(min_length=8)])

    assert adapter.validate_python("12345678") == "12345678"
    with pytest.raises(ValidationError):
        adapter.validate_python("1234567")


def test_a_password_is_not_shown() -> None:
    data = Registration.model_validate({"password": GOOD})

    for text in (repr(data), str(data), data.model_dump_json()):
        assert GOOD not in text


@pytest.mark.parametrize("with_handlers", [True, False])
async def test_a_refused_password_is_422_with_our_handlers_and_without(
    with_handlers: bool,
) -> None:
    app = FastAPI()
    if with_handlers:
        add_error_handlers(app)

    @app.post("/register")
    async def register(data: Registration) -> None: ...

    async with client_of(app) as client:
        response = await client.post("/register", json={"password": "hunter2"})

    assert response.status_code == 422
    assert "The password must have 15 characters or more" in response.text
    assert ("hunter2" in response.text) is not with_handlers


def test_openapi_tells_the_lengths() -> None:
    schema = Registration.model_json_schema()["properties"]["password"]

    assert (schema["type"], schema["format"]) == ("string", "password")
    assert (schema["minLength"], schema["maxLength"]) == (15, 128)
    assert schema["writeOnly"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_length": 0}, "min_length=0"),
        ({"min_length": 65, "max_length": 64}, "max_length=64"),
        ({"max_bytes": 14}, "max_bytes=14"),
        ({"max_bytes": 4097}, "max_bytes=4097"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        PasswordRules(**options)


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_the_verdict_is_the_lengths(password: str) -> None:
    assert (message_of(PasswordRules(), password) is None) is (15 <= len(password) <= 128)
