"""Requests that do not fit their declaration: where, what, and never the input."""

import json
import string
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from fastapi import Body, Cookie, FastAPI, File, Form, Header, Query, UploadFile
from fastapi.exceptions import RequestValidationError
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from fastapi_kit.errors import add_error_handlers
from fastapi_kit.errors.validation import field_errors
from tests.logs.capture import LogOutput, client_of, get


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Colour(Enum):
    RED = "red"


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    quantity: int
    tags: list[int] = []
    by_name: dict[str, int] = {}
    either: int | list[int] = 0
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    a_b: int = Field(default=0, alias="a/b~c é")


def app_taking(annotation: Any) -> FastAPI:
    """An app that takes a body of this type at POST /."""
    app = FastAPI()

    async def take(body: Any) -> None: ...

    take.__annotations__["body"] = Annotated[annotation, Body()]
    app.post("/")(take)
    add_error_handlers(app)
    return app


async def errors_for(annotation: Any, body: Any) -> list[dict[str, str]]:
    async with client_of(app_taking(annotation)) as client:
        response = await client.post("/", json=body)
    assert response.status_code == 422, response.text
    assert response.json()["detail"] == "The request is not valid."
    found: list[dict[str, str]] = response.json()["errors"]
    return found


async def pointers_for(annotation: Any, body: Any) -> list[str]:
    return [error["pointer"] for error in await errors_for(annotation, body)]


@pytest.mark.parametrize(
    ("path", "options", "where", "name", "type"),
    [
        ("/items/x", {}, "path", "item_id", "int_parsing"),
        ("/items/1?size=x", {}, "query", "size", "int_parsing"),
        ("/items/1?tag=1&tag=x", {}, "query", "tag.1", "int_parsing"),
        ("/items/1", {"headers": {"X-Depth": "x"}}, "header", "x-depth", "int_parsing"),
        ("/items/1", {"headers": {"Cookie": "level=x"}}, "cookie", "level", "int_parsing"),
        ("/items/1?colour=blue", {}, "query", "colour", "enum"),
        ("/items/" + "9" * 5000, {}, "path", "item_id", "int_parsing_size"),
        ("/items/%EF%BB%BF1%00", {}, "path", "item_id", "int_parsing"),
    ],
)
async def test_a_wrong_parameter_is_named(
    path: str, options: Any, where: str, name: str, type: str
) -> None:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def read(
        item_id: int,
        size: int = 1,
        tag: Annotated[list[int], Query()] = [],  # noqa: B006
        x_depth: Annotated[int, Header()] = 1,
        level: Annotated[int, Cookie()] = 1,
        colour: Colour = Colour.RED,
    ) -> str:
        return "read"

    add_error_handlers(app)

    response = await get(app, path, **options)

    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert (error["in"], error["name"], error["type"]) == (where, name, type)
    assert "pointer" not in error
    assert (await get(app, "/items/1")).json() == "read"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/quantity"),
        ({"quantity": "x"}, "#/quantity"),
        ({"quantity": 1, "tags": [1, "x"]}, "#/tags/1"),
        ({"quantity": 1, "by_name": {"k": "x"}}, "#/by_name/k"),
        ({"quantity": 1, "by_name": {"a/b~c": "x"}}, "#/by_name/a~1b~0c"),
        ({"quantity": 1, "by_name": {'é "%': "x"}}, "#/by_name/%C3%A9%20%22%25"),
        ({"quantity": 1, "a/b~c é": "x"}, "#/a~1b~0c%20%C3%A9"),
        ({"quantity": 1, "unknown": 1}, "#/unknown"),
        ({"quantity": 1, "pet": {"kind": "cat"}}, "#/pet/lives"),
        ({"quantity": 1, "pet": {"kind": "dog", "name": 1}}, "#/pet/name"),
        ({"quantity": 1, "pet": {"kind": "bird"}}, "#/pet"),
        ({"quantity": 1, "pet": 3}, "#/pet"),
        ([1], "#"),
        ("text", "#"),
        (None, "#"),
    ],
    ids=repr,
)
async def test_a_wrong_member_of_the_body_is_pointed_at(body: Any, pointer: str) -> None:
    assert await pointers_for(Order, body) == [pointer]


async def test_the_branches_of_a_union_are_no_part_of_the_pointer() -> None:
    assert await pointers_for(Order, {"quantity": 1, "either": "x"}) == ["#/either"] * 2
    assert await pointers_for(Order, {"quantity": 1, "either": ["x"]}) == [
        "#/either",
        "#/either/0",
    ]
    assert await pointers_for(dict[str, int | None], {"a": "x"}) == ["#/a"]


async def test_the_branches_that_a_whole_object_does_not_fit_are_none_either() -> None:
    assert await pointers_for(dict[str, list[int] | int], {"a": {"k": 1}}) == ["#/a"] * 2
    assert await pointers_for(dict[str, list[int] | int], {"a": None}) == ["#/a"] * 2


async def test_two_bodies_are_pointed_at_by_their_names() -> None:
    app = FastAPI()

    @app.post("/")
    async def take(cat: Cat, count: Annotated[int, Body()]) -> None:
        raise AssertionError("not valid")  # pragma: no cover

    add_error_handlers(app)
    async with client_of(app) as client:
        response = await client.post("/", json={"cat": {"kind": "cat"}})

    assert [error["pointer"] for error in response.json()["errors"]] == ["#/cat/lives", "#/count"]


async def test_a_pointer_that_would_be_long_ends_at_a_whole_part() -> None:
    body = {"é" * 20: {"é" * 40: "x"}}

    [pointer] = await pointers_for(dict[str, dict[str, int]], body)

    assert pointer == "#/" + "%C3%A9" * 20


async def test_a_lone_surrogate_in_a_key_does_no_harm() -> None:
    async with client_of(app_taking(dict[str, int])) as client:
        response = await client.post(
            "/", content=b'{"\\ud800": "x"}', headers={"Content-Type": "application/json"}
        )

    assert response.status_code == 422


def test_a_location_of_the_apps_own_making_counts_as_the_body() -> None:
    [error] = field_errors([{"loc": ("basket", 1), "type": "empty", "msg": "Empty."}])

    assert error == {"detail": "Empty.", "type": "empty", "in": "body", "pointer": "#/basket/1"}


def test_an_error_that_tells_nothing_is_told_all_the_same() -> None:
    assert field_errors([{}]) == [
        {"detail": "The value is not valid.", "type": "value_error", "in": "body", "pointer": "#"}
    ]


async def test_a_validation_error_raised_by_the_app_is_answered_alike() -> None:
    app = FastAPI()

    @app.get("/")
    async def read() -> None:
        raise RequestValidationError([{"loc": ("query", "from"), "type": "late", "msg": "Late."}])

    add_error_handlers(app)

    [error] = (await get(app)).json()["errors"]

    assert error == {"detail": "Late.", "type": "late", "in": "query", "name": "from"}


async def test_at_most_a_hundred_errors_are_told() -> None:
    assert len(await errors_for(list[int], ["x"] * 500)) == 100


def raising(make: Any) -> Any:
    def validate(value: Any) -> Any:
        raise make(value)

    return Annotated[str, AfterValidator(validate)]


@pytest.mark.parametrize(
    ("make", "detail", "type"),
    [
        (lambda v: ValueError("must be even"), "must be even", "value_error"),
        (lambda v: AssertionError("must be odd"), "must be odd", "assertion_error"),
        (
            lambda v: PydanticCustomError("taken", "Is taken {n} times", {"n": 2}),
            "Is taken 2 times",
            "taken",
        ),
    ],
    ids=["ValueError", "AssertionError", "PydanticCustomError"],
)
async def test_a_validators_own_text_is_kept(make: Any, detail: str, type: str) -> None:
    [error] = await errors_for(raising(make), "hunter2")

    assert (error["detail"], error["type"]) == (detail, type)


@pytest.mark.parametrize(
    "make",
    [
        lambda v: ValueError(f"{v} is weak"),
        lambda v: ValueError(f"{v!r} is weak"),
        lambda v: ValueError(f"{v.upper()} is weak"),
        lambda v: ValueError(f"{v.strip()} is weak"),
        lambda v: ValueError(f"{v[:20]}... is weak"),
        lambda v: AssertionError(f"{v} is weak"),
        lambda v: PydanticCustomError("weak", "{v} is weak", {"v": v}),
    ],
)
@pytest.mark.parametrize(
    "secret", ["hunter2", " hunter2\n", 'it\'s "so" \\secret', "x" * 300, "é\u2028secret"]
)
async def test_a_validators_text_that_repeats_the_input_is_not_told(make: Any, secret: str) -> None:
    [error] = await errors_for(raising(make), secret)

    assert error["detail"] == "The value is not valid."


async def test_the_standard_librarys_messages_do_not_repeat_the_input() -> None:
    [error] = await errors_for(Annotated[int, BeforeValidator(int)], "secret" * 99)

    assert error["detail"] == "The value is not valid."


async def test_a_text_about_an_input_too_large_to_compare_is_not_told() -> None:
    def refuse(value: list[int]) -> list[int]:
        raise ValueError("too many")

    few = await errors_for(Annotated[list[int], AfterValidator(refuse)], [1, 2])
    many = await errors_for(Annotated[list[int], AfterValidator(refuse)], list(range(201)))

    deep = await errors_for(Annotated[Any, AfterValidator(refuse)], [[[[["x"]]]]])
    assert deep[0]["detail"] == "The value is not valid."
    assert few[0]["detail"] == "too many"
    assert many[0]["detail"] == "The value is not valid."


@pytest.mark.parametrize("body", [{"hunter2": 1}, {"a": ["hunter2"]}, ["x", {"b": "hunter2"}]])
async def test_a_text_that_repeats_a_part_of_the_input_is_not_told(body: Any) -> None:
    def refuse(value: Any) -> Any:
        raise ValueError("hunter2 is weak")

    [error] = await errors_for(Annotated[Any, AfterValidator(refuse)], body)

    assert error["detail"] == "The value is not valid."


async def test_a_text_about_nothing_much_is_kept() -> None:
    def refuse(value: Any) -> Any:
        raise ValueError("None of these is True")

    [error] = await errors_for(Annotated[Any, AfterValidator(refuse)], [None, True])

    assert error["detail"] == "None of these is True"


async def test_a_short_input_does_not_hide_the_text() -> None:
    [error] = await errors_for(raising(lambda v: ValueError("at least 10 letters")), "10")

    assert error["detail"] == "at least 10 letters"


async def test_an_unknown_tag_is_not_repeated_but_the_known_ones_are() -> None:
    [error] = await errors_for(Order, {"quantity": 1, "pet": {"kind": "hunter2"}})

    assert error["detail"] == "'kind' should be one of 'cat', 'dog'"


SECRETS = st.text(string.ascii_letters + string.digits + "'\"\\ é", min_size=8, max_size=60).map(
    lambda text: f"s3cr3t{text}"
)


class Everything(BaseModel):
    number: int
    colour: Colour
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    even: Annotated[int, BeforeValidator(int)]
    weak: raising(lambda v: ValueError(f"bad: {v!r}"))  # type: ignore[valid-type]
    url: raising(lambda v: PydanticCustomError("bad", "bad: {v}", {"v": v}))  # type: ignore[valid-type]


@settings(max_examples=30, deadline=None)
@given(secret=SECRETS)
def test_no_secret_in_an_input_comes_back(secret: str) -> None:
    import asyncio

    app = app_taking(Everything)
    names = ("number", "colour", "even", "weak", "url")
    body = dict.fromkeys(names, secret) | {"pet": {"kind": secret}}

    async def ask() -> str:
        async with client_of(app) as client:
            response = await client.post("/", json=body)
            assert response.status_code == 422
            return response.text

    answer = asyncio.run(ask())

    assert "s3cr3t" not in answer
    assert json.dumps(secret)[1:-1] not in answer


async def test_nothing_is_logged_of_a_request_that_is_not_valid(log_output: LogOutput) -> None:
    await errors_for(Everything, {"number": "hunter2"})

    assert log_output.lines == []


async def test_a_form_is_pointed_at_by_its_fields() -> None:
    app = FastAPI()

    @app.post("/")
    async def take(age: Annotated[int, Form()], name: Annotated[str, Form()]) -> None:
        raise AssertionError("not valid")  # pragma: no cover

    add_error_handlers(app)
    async with client_of(app) as client:
        response = await client.post("/", data={"age": "hunter2"})

    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["#/age", "#/name"]
    assert "hunter2" not in response.text


async def test_a_missing_file_is_pointed_at() -> None:
    app = FastAPI()

    @app.post("/")
    async def take(upload: Annotated[UploadFile, File()]) -> None:
        raise AssertionError("not valid")  # pragma: no cover

    add_error_handlers(app)
    async with client_of(app) as client:
        missing = await client.post("/", files={"other": b"x"})
        no_file = await client.post("/", data={"upload": "text"})

    assert missing.json()["errors"][0]["pointer"] == "#/upload"
    assert no_file.status_code == 422
