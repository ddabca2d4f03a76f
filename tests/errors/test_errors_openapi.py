"""What OpenAPI tells of errors is what is answered, and holds together."""

import json
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from fastapi_kit.errors import (
    AppError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    TooManyRequestsError,
    UnauthorizedError,
    add_error_handlers,
    error_responses,
)
from tests.errors.schema import fits, references, resolve
from tests.logs.capture import client_of, get

PROBLEM = "application/problem+json"


class OutOfStock(AppError):  # noqa: N818
    """Nothing is left of it.

    Order less.
    """

    status_code = 409
    type = "/problems/out-of-stock"
    title = "Out of stock"


class Withdrawn(AppError):  # noqa: N818
    status_code = 409
    type = "/problems/withdrawn"


class SoldOut(OutOfStock):
    """Has no type of its own."""


def another_out_of_stock() -> type[AppError]:
    class OutOfStock(AppError):  # noqa: N818
        status_code = 410
        type = "/problems/gone"

    return OutOfStock


class Item(BaseModel):
    name: str


def make_app(**options: Any) -> FastAPI:
    app = FastAPI(**options)

    @app.get("/plain")
    async def plain() -> None: ...

    @app.get("/items/{number}", responses=error_responses(OutOfStock, Withdrawn, 404, 429))
    async def read(number: int) -> str:
        if number == 1:
            raise OutOfStock(available=0)
        if number == 2:
            raise Withdrawn
        raise TooManyRequestsError if number == 3 else NotFoundError

    @app.post("/items", responses=error_responses(409, OutOfStock))
    async def add(item: Item) -> str:
        if item.name == "taken":
            raise ConflictError
        raise OutOfStock

    return app


def responses_of(app: FastAPI, path: str, method: str = "get") -> dict[str, Any]:
    found: dict[str, Any] = app.openapi()["paths"][path][method]["responses"]
    return found


def schema_of(app: FastAPI, path: str, status: int, method: str = "get") -> dict[str, Any]:
    found: dict[str, Any] = responses_of(app, path, method)[str(status)]["content"][PROBLEM][
        "schema"
    ]
    return found


def assert_whole(app: FastAPI) -> None:
    document = json.loads(json.dumps(app.openapi()))
    for reference in references(document):
        resolve(document, reference)


def test_the_default_422_is_replaced() -> None:
    app = make_app()
    add_error_handlers(app)

    response = responses_of(app, "/items/{number}")["422"]

    assert response == {
        "description": "Unprocessable Content",
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    assert app.openapi()["components"]["schemas"].keys() == {
        "Item",
        "OutOfStock",
        "Problem",
        "Withdrawn",
    }


def test_a_route_that_validates_nothing_has_no_422() -> None:
    app = make_app()
    add_error_handlers(app)

    assert responses_of(app, "/plain").keys() == {"200"}


def test_a_route_with_a_body_can_answer_400() -> None:
    app = make_app()
    add_error_handlers(app)

    assert responses_of(app, "/items", "post").keys() == {"200", "400", "409", "422"}
    assert "400" not in responses_of(app, "/items/{number}")


def test_types_that_share_a_status_stand_side_by_side() -> None:
    app = make_app()
    add_error_handlers(app)

    response = responses_of(app, "/items/{number}")["409"]

    assert response["description"] == "Out of stock; Conflict"
    assert response["content"][PROBLEM]["schema"] == {
        "oneOf": [
            {"$ref": "#/components/schemas/OutOfStock"},
            {"$ref": "#/components/schemas/Withdrawn"},
        ]
    }


@pytest.mark.parametrize("base", [None, "https://example.com"])
@pytest.mark.parametrize("with_handlers", [True, False])
def test_no_reference_dangles(with_handlers: bool, base: str | None) -> None:
    app = make_app()
    if with_handlers:
        add_error_handlers(app, problem_base_url=base)

    assert_whole(app)


def test_a_type_is_told_as_it_is_sent() -> None:
    app = make_app()
    add_error_handlers(app, problem_base_url="https://example.com/")

    schemas = app.openapi()["components"]["schemas"]

    assert schemas["OutOfStock"]["properties"]["type"]["const"] == (
        "https://example.com/problems/out-of-stock"
    )
    assert schemas["Problem"]["properties"]["type"]["const"] == "about:blank"
    assert schemas["OutOfStock"]["description"] == "Nothing is left of it."
    assert schemas["Withdrawn"]["description"] == "Conflict"


@pytest.mark.parametrize("base", [None, "https://example.com"])
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("get", "/items/1", None, 409),
        ("get", "/items/2", None, 409),
        ("get", "/items/3", None, 429),
        ("get", "/items/4", None, 404),
        ("get", "/items/x", None, 422),
        ("post", "/items", b"{", 422),
        ("post", "/items", b'"\xff"', 400),
        ("post", "/items", b'{"name": 1}', 422),
        ("post", "/items", b'{"name": "taken"}', 409),
        ("post", "/items", b'{"name": "a"}', 409),
    ],
)
async def test_what_is_sent_is_what_is_told(
    method: str, path: str, body: bytes | None, status: int, base: str | None
) -> None:
    app = make_app()
    add_error_handlers(app, problem_base_url=base)

    async with client_of(app) as client:
        response = await client.request(
            method, path, content=body, headers={"Content-Type": "application/json"}
        )

    template = "/items" if method == "post" else "/items/{number}"
    assert response.status_code == status
    assert fits(app.openapi(), schema_of(app, template, status, method), response.json())


def test_the_schema_check_can_fail() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "const": "x"}}}

    assert fits({}, schema, {"a": "x"})
    assert not fits({}, schema, {"a": "y"})
    assert not fits({}, schema, {"a": 1})
    assert not fits({}, {**schema, "required": ["b"]}, {"a": "x"})
    assert not fits({}, {"oneOf": [schema, schema]}, {"a": "x"})
    assert not fits({}, {"type": "string", "enum": ["x"]}, "y")
    with pytest.raises(KeyError):
        resolve({}, "#/components/schemas/Gone")


def test_a_subclass_without_a_type_of_its_own_is_told_once() -> None:
    [response] = error_responses(OutOfStock, SoldOut, 409, ConflictError).values()

    assert response["description"] == "Out of stock; Conflict"
    titles = [part["title"] for part in response["content"][PROBLEM]["schema"]["oneOf"]]

    assert titles == ["OutOfStock", "Problem"]


def test_one_title_is_told_once() -> None:
    [response] = error_responses(Withdrawn, 409).values()

    assert response["description"] == "Conflict"


def test_without_handlers_schemas_are_inlined() -> None:
    schema = schema_of(make_app(), "/items/{number}", 404)

    assert schema["title"] == "Problem"
    assert list(references(schema)) == []


def test_classes_of_one_name_are_kept_apart() -> None:
    app = FastAPI()

    @app.get("/", responses=error_responses(OutOfStock, another_out_of_stock()))
    async def read() -> None: ...

    add_error_handlers(app)

    assert schema_of(app, "/", 409) == {"$ref": "#/components/schemas/OutOfStock"}
    assert schema_of(app, "/", 410)["properties"]["type"]["const"] == "/problems/gone"


def test_an_apps_own_model_keeps_its_name() -> None:
    class Problem(BaseModel):
        mine: int

    app = FastAPI()

    @app.post("/")
    async def add(problem: Problem) -> None: ...

    add_error_handlers(app)

    schema = app.openapi()["components"]["schemas"]["Problem"]
    assert schema["properties"].keys() == {"mine"}
    assert schema_of(app, "/", 422, "post")["properties"].keys() > {"status"}
    assert_whole(app)


@pytest.mark.parametrize("own", [{422: {"model": Item}}, {"4XX": {"model": Item}}])
def test_an_apps_own_422_is_respected(own: Any) -> None:
    app = FastAPI()

    @app.get("/{number}", responses=own)
    async def read(number: int) -> None: ...

    add_error_handlers(app)

    assert responses_of(app, "/{number}").keys() == {"200", *map(str, own)}
    assert_whole(app)


def test_a_responses_own_description_is_kept() -> None:
    app = FastAPI()
    responses = error_responses(404)
    responses[404]["description"] = "No such item"

    @app.get("/", responses=responses)
    async def read() -> None: ...

    add_error_handlers(app)

    assert responses_of(app, "/")["404"]["description"] == "No such item"


@pytest.mark.parametrize("content", [{}, {"schema": {"type": "object", "title": "Mine"}}])
def test_an_apps_own_problem_schema_is_kept(content: dict[str, Any]) -> None:
    app = FastAPI()

    @app.get("/", responses={409: {"content": {PROBLEM: content}}})
    async def read() -> None: ...

    add_error_handlers(app)

    assert responses_of(app, "/")["409"]["content"][PROBLEM] == content


def test_what_the_app_has_put_beside_the_operations_is_kept() -> None:
    app = make_app()
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document["paths"]["/plain"]["summary"] = "All responses."
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    add_error_handlers(app)

    assert app.openapi()["paths"]["/plain"]["summary"] == "All responses."


class Guard:
    """A dependency that tells what it raises and what it is for."""

    raises = (UnauthorizedError, OutOfStock)
    description = "For editors only."

    def __call__(self) -> None: ...


def nested(guard: Annotated[None, Depends(Guard())]) -> None: ...


@pytest.mark.parametrize("level", ["route", "router", "include", "app", "nested"])
def test_what_a_dependency_raises_is_told_by_its_routes(level: str) -> None:
    guards = [Depends(Guard())]
    app = FastAPI(dependencies=guards if level == "app" else None)
    router = APIRouter(dependencies=guards if level == "router" else None)
    own = {"route": guards, "nested": [Depends(nested)]}.get(level)

    @router.get("/guarded", dependencies=own, description="Reads it.")
    async def read() -> None: ...

    @app.get("/free", description="Anyone's.")
    async def free() -> None: ...

    app.include_router(router, prefix="/in", dependencies=guards if level == "include" else None)
    add_error_handlers(app)

    operation = app.openapi()["paths"]["/in/guarded"]["get"]
    assert operation["responses"].keys() == {"200", "401", "409"}
    assert operation["description"] == "Reads it.\n\nFor editors only."
    assert ("409" in responses_of(app, "/free")) is (level == "app")
    assert_whole(app)


def test_a_dependency_that_is_needed_twice_is_told_once() -> None:
    guard = Guard()
    app = FastAPI(dependencies=[Depends(guard)])

    @app.get("/", dependencies=[Depends(guard)])
    async def read() -> None: ...

    add_error_handlers(app)

    assert app.openapi()["paths"]["/"]["get"]["description"] == "For editors only."
    assert schema_of(app, "/", 409) == {"$ref": "#/components/schemas/OutOfStock"}


def test_what_a_dependency_raises_joins_what_the_route_declares() -> None:
    app = FastAPI()

    @app.get("/", dependencies=[Depends(Guard())], responses=error_responses(Withdrawn))
    async def read() -> None: ...

    add_error_handlers(app)

    assert schema_of(app, "/", 409)["oneOf"] == [
        {"$ref": "#/components/schemas/Withdrawn"},
        {"$ref": "#/components/schemas/OutOfStock"},
    ]


def test_routes_added_late_are_documented_too() -> None:
    app = make_app()
    add_error_handlers(app)
    before = app.openapi()
    router = APIRouter()

    @router.get("/late/{number}", responses=error_responses(OutOfStock))
    async def late(number: int) -> None: ...

    app.include_router(router)

    assert "/late/{number}" not in before["paths"]
    assert schema_of(app, "/late/{number}", 409) == {"$ref": "#/components/schemas/OutOfStock"}
    assert_whole(app)


def test_the_document_is_made_once() -> None:
    app = make_app()
    add_error_handlers(app)

    assert app.openapi() is app.openapi()


def test_an_app_may_extend_the_document_in_fastapis_way() -> None:
    app = make_app()
    add_error_handlers(app)
    extend = app.openapi

    def openapi() -> dict[str, Any]:
        return {**extend(), "x-mine": 1}

    app.openapi = openapi  # type: ignore[method-assign]

    assert app.openapi()["x-mine"] == 1
    assert "Problem" in app.openapi()["components"]["schemas"]


def test_webhooks_and_callbacks_hold_together() -> None:
    app, callbacks = FastAPI(), APIRouter()

    @callbacks.post("{$callback_url}/sent", responses=error_responses(OutOfStock))
    async def sent(item: Item) -> None: ...

    @app.webhooks.post("new-item")
    async def new_item(item: Item) -> None: ...

    @app.post("/", callbacks=callbacks.routes)
    async def add(item: Annotated[Item, Body()]) -> None: ...

    add_error_handlers(app)

    assert_whole(app)
    # They are answered by others, whose errors are not ours to tell.
    assert "HTTPValidationError" in app.openapi()["components"]["schemas"]


def test_an_app_without_schemas_has_no_components() -> None:
    app = FastAPI()

    @app.get("/")
    async def read() -> None: ...

    add_error_handlers(app)

    assert "schemas" not in app.openapi().get("components", {})


def test_an_app_without_routes_has_a_document() -> None:
    app = FastAPI()
    add_error_handlers(app)

    assert app.openapi()["paths"] == {}


def test_an_older_version_of_openapi_is_left_as_it_is_named() -> None:
    app = make_app()
    app.openapi_version = "3.0.3"
    add_error_handlers(app)

    assert app.openapi()["openapi"] == "3.0.3"
    assert_whole(app)


def test_a_mounted_app_has_a_document_of_its_own() -> None:
    app, inner = make_app(), make_app()
    add_error_handlers(app)
    add_error_handlers(inner, problem_base_url="https://inner.example.com")
    app.mount("/sub", inner)

    types = [
        each.openapi()["components"]["schemas"]["OutOfStock"]["properties"]["type"]["const"]
        for each in (app, inner)
    ]

    assert types == ["/problems/out-of-stock", "https://inner.example.com/problems/out-of-stock"]


async def test_the_docs_page_and_the_document_are_served() -> None:
    app = make_app()
    add_error_handlers(app)

    assert (await get(app, "/docs")).status_code == 200
    assert (await get(app, "/openapi.json")).json() == app.openapi()


@pytest.mark.parametrize("status", [0, 200, 302, 399, 600])
def test_a_status_that_is_no_error_is_refused(status: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{status} is not an error status"):
        error_responses(status)


async def test_a_dict_detail_fits_too() -> None:
    app = FastAPI()

    @app.get("/", responses=error_responses(404))
    async def read() -> None:
        detail: Any = {"detail": "x", "type": "/mine", "more": [1]}
        raise HTTPException(404, detail)

    add_error_handlers(app)

    assert fits(app.openapi(), schema_of(app, "/", 404), (await get(app)).json())
