"""Bodies that cannot be read: broken, too large, for another host. Never a 500."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Form, Request
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_kit.errors import add_error_handlers
from fastapi_kit.errors.strict_json import flaw_of, is_suspect
from fastapi_kit.middleware import RequestIdMiddleware
from tests.logs.capture import LogOutput, client_of, exchange

JSON = {"Content-Type": "application/json"}


class Item(BaseModel):
    name: str
    price: float = 0
    more: dict[str, Any] = {}


def app_taking_items(**options: Any) -> FastAPI:
    app = FastAPI(**options)

    @app.post("/")
    async def take(item: Item) -> str:
        return "taken"

    @app.post("/form")
    async def take_form(name: str = Form()) -> str:
        return name

    @app.post("/unread")
    async def leave() -> str:
        return "left"

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    add_error_handlers(app)
    return app


async def post(app: FastAPI, content: Any, path: str = "/", **headers: str) -> Any:
    async with client_of(app) as client:
        return await client.post(path, content=content, headers=headers or JSON)


DEEP = b'{"name": "a", "more": {"x": %s%s}}'


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 422),
        (b"", 422),
        (b"not json", 422),
        (b"[1,]", 422),
        (b'{"name": "a"} trailing', 422),
        (b'{"name": "\xff"}', 400),
        (b"\xff\xfe\x00", 400),
        (b'{"name": NaN}', 422),
        (b'{"name": "a", "price": ' + b"9" * 400 + b"}", 422),
        (b'{"name": "a", "price": ' + b"9" * 5000 + b"}", 400),
        (b'{"name": "a\\u0000"}', 200),
        (b"null", 422),
        (b'{"name": "a", "more": {"x": [' + b"[{}]," * 500 + b"1]}}", 200),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "",
)
async def test_any_json_gets_an_answer_below_500(content: bytes, status: int) -> None:
    response = await post(app_taking_items(), content)

    assert response.status_code == status
    if status >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b'{"name": "a", "price": NaN}', "NaN is no JSON."),
        (b'{"name": "a", "price": -Infinity}', "-Infinity is no JSON."),
        (b'{"name": "a", "price": 1e999}', "A number is too large."),
        (b'{"name": "a", "price": 1E+400}', "A number is too large."),
        (b'{"name": "a", "price": ' + b"1" * 220 + b"e99}", "A number is too large."),
        ('{"name": "a", "price": NaN}'.encode("utf-16"), "NaN is no JSON."),
        (b'{"name": "\\ud800"}', "A text holds half of a surrogate pair."),
        (b'{"name": "\\uDfFf"}', "A text holds half of a surrogate pair."),
        (b'{"name": "\xed\xa0\x80"}', "A text holds half of a surrogate pair."),
        (b'{"name": "a", "more": {"\\ud800": 1}}', "A text holds half of a surrogate pair."),
        (b"[" * 100_000, "Arrays and objects lie more than 128 levels deep in each other."),
        (
            DEEP % (b"[" * 127, b"]" * 127),
            "Arrays and objects lie more than 128 levels deep in each other.",
        ),
        (
            DEEP % (b'[{"a":' * 80 + b"1", b"}]" * 80),
            "Arrays and objects lie more than 128 levels deep in each other.",
        ),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "",
)
async def test_what_only_pythons_parser_takes_is_refused(content: bytes, detail: str) -> None:
    response = await post(app_taking_items(), content)

    assert response.status_code == 422
    assert response.json()["detail"] == "The request is not valid."
    assert response.json()["errors"] == [
        {"detail": detail, "type": "json_invalid", "in": "body", "pointer": "#"}
    ]


@pytest.mark.parametrize(
    "content",
    [
        b'{"name": "NaN Infinity 1e999 \\ud83d\\ude00"}',
        '{"name": "1e999 \ud7ff"}'.encode(),
        '{"name": "a"}'.encode("utf-16"),
        b'{"name": "a", "price": 1e-999, "more": {"a": 1.5E+308}}',
        b'{"name": "' + b"[" * 500 + b'"}',
        DEEP % (b"[" * 126, b"]" * 126),
        b'{"name": "' + b"0" * 500 + b'"}',
    ],
    ids=lambda value: repr(value[:30]),
)
async def test_what_only_looks_like_it_is_taken(content: bytes) -> None:
    response = await post(app_taking_items(), content)

    assert response.json() == "taken"


async def test_a_flaw_that_lies_across_two_pieces_is_found() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b'{"name": "a", "price": Na', b"N", b"}"):
            yield piece

    response = await post(app_taking_items(), pieces())

    assert response.json()["errors"][0]["detail"] == "NaN is no JSON."


async def test_an_app_that_parses_by_itself_is_protected_too() -> None:
    app = FastAPI()

    @app.post("/")
    async def echo(request: Request) -> Any:
        return await request.json()

    add_error_handlers(app)

    assert (await post(app, b'{"a": NaN}')).status_code == 422
    assert (await post(app, b"[" * 100_000)).status_code == 422
    assert (await post(app, b'{"a": 1}')).json() == {"a": 1}


async def test_other_media_types_are_no_ones_business() -> None:
    headers = {"Content-Type": "application/octet-stream"}

    response = await post(app_taking_items(), b'{"a": NaN}', "/raw", **headers)

    assert response.json() == 10


async def test_a_body_beyond_the_checks_memory_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fastapi_kit.errors.strict_json._MAX_CHECKED", 4)

    response = await post(app_taking_items(), chunks(9), "/raw")

    assert response.json() == 9


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_a_suspicion_is_never_missed(value: Any) -> None:
    body = json.dumps(value).encode()

    assert is_suspect(body) or flaw_of(body) is None


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=[])), st.floats())
@example("\ud800", 0.5)
@example("a", 0.5)
def test_what_is_not_refused_can_be_written_again(text: str, number: float) -> None:
    body = json.dumps({text: [number, text]}).encode()

    if flaw_of(body) is None:
        json.dumps(json.loads(body), allow_nan=False, ensure_ascii=False).encode()
    else:
        assert is_suspect(body)


async def test_broken_json_is_pointed_at_as_a_whole() -> None:
    response = await post(app_taking_items(), b'{"password": hunter2}')

    assert response.json()["errors"] == [
        {"detail": "JSON decode error", "type": "json_invalid", "in": "body", "pointer": "#"}
    ]


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"--x\r\n", "multipart/form-data"),
        (b"name=%ff", "application/x-www-form-urlencoded"),
        (b"&&&=;%%%", "application/x-www-form-urlencoded"),
        (b"\xff\xff", "application/x-www-form-urlencoded; charset=latin-9"),
        (b'{"name": "a"}', "text/plain"),
        (b'{"name": "a"}', "\xff/json"),
    ],
    ids=["cut", "no boundary", "not utf-8", "nonsense", "bytes", "no form", "no type"],
)
async def test_any_form_gets_an_answer_below_500(content: bytes, content_type: str) -> None:
    app = app_taking_items()

    for path in ("/form", "/"):
        async with client_of(app) as client:
            response = await client.post(
                path, content=content, headers=[(b"content-type", content_type.encode("latin-1"))]
            )

        assert response.status_code < 500
        if response.status_code >= 400:
            assert response.headers["content-type"] == "application/problem+json"


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size):
        yield b"x"


async def too_large(app: FastAPI, path: str, content: Any) -> None:
    response = await post(app, content, path)

    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["title"] == "Content Too Large"
    assert response.json()["instance"] == path
    assert response.headers["content-length"] == str(len(response.content))


@pytest.mark.parametrize("path", ["/", "/raw", "/unread", "/form"])
async def test_a_body_too_large_for_the_app_is_a_problem_read_or_not(path: str) -> None:
    await too_large(app_taking_items(max_body_size=10), path, b"x" * 11)


@pytest.mark.parametrize("path", ["/", "/raw"])
async def test_a_body_too_large_that_comes_in_pieces_is_a_problem(path: str) -> None:
    await too_large(app_taking_items(max_body_size=10), path, chunks(11))


async def test_a_body_too_large_is_no_error_of_the_app(log_output: LogOutput) -> None:
    mounted = app_taking_items()
    app = app_taking_items(max_body_size=10)
    app.mount("/mounted", mounted)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])

    await too_large(app, "/unread", b"x" * 11)
    await too_large(app, "/mounted/unread", b"x" * 11)

    assert log_output.errors == []


async def test_a_body_that_just_fits_is_taken() -> None:
    assert (await post(app_taking_items(max_body_size=10), b"x" * 10, "/raw")).json() == 10


@pytest.mark.parametrize(
    "content", [lambda: b"x" * 11, lambda: chunks(11)], ids=["whole", "pieces"]
)
async def test_a_body_too_large_of_a_get_is_a_problem(content: Any) -> None:
    app = FastAPI(max_body_size=10)

    @app.get("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    add_error_handlers(app)
    async with client_of(app) as client:
        response = await client.request("GET", "/raw", content=content())

    assert (response.status_code, response.json()["status"]) == (413, 413)


@pytest.mark.parametrize(
    "content", [lambda: b"x" * 11, lambda: chunks(11)], ids=["whole", "pieces"]
)
async def test_a_body_too_large_for_a_router_is_a_problem(content: Any) -> None:
    app = FastAPI()
    router = APIRouter(max_body_size=10)

    @router.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    app.include_router(router)
    add_error_handlers(app)

    await too_large(app, "/raw", content())


async def test_the_answer_to_a_body_too_large_carries_the_id_although_it_passes_outside() -> None:
    app = app_taking_items(max_body_size=10)
    app.add_middleware(RequestIdMiddleware, header_name="X-Trace")

    response = await post(app, b"x" * 11, "/raw", **{"X-Trace": "abc", **JSON})

    assert response.json()["request_id"] == "abc"
    assert response.headers["x-trace"] == "abc"


class Hiding:
    """A middleware that does not tell by an ``app`` attribute what it wraps."""

    def __init__(self, app: ASGIApp) -> None:
        self._hidden = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._hidden(scope, receive, send)


@pytest.mark.parametrize("method", ["POST", "DELETE", "QUERY"])
async def test_a_body_that_no_header_tells_of_is_checked_too(method: str) -> None:
    """As HTTP/2 allows."""
    app = FastAPI()

    @app.api_route("/", methods=[method])
    async def take(item: dict[str, Any]) -> int:
        raise AssertionError  # pragma: no cover  # never called

    add_error_handlers(app)
    headers = [(b"content-type", b"application/json")]
    received = {"type": "http.request", "body": b'{"a": NaN}'}
    sent = await exchange(app, received, method=method, http_version="2", headers=headers)

    assert sent[0]["status"] == 422


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_wrong_host_for_a_mounted_app_is_a_problem(method: str) -> None:
    app = FastAPI()
    app.mount("/inner", TrustedHostMiddleware(app_taking_items(), ["shop.example.com"]))
    add_error_handlers(app)

    async with client_of(app) as client:
        response = await client.request(method, "/inner/")

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("outer", [None, Hiding], ids=["plain", "hidden"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_wrong_host_is_a_problem(outer: Any, method: str) -> None:
    app = app_taking_items()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["shop.example.com"])
    if outer is not None:
        app.add_middleware(outer)

    async with client_of(app) as client:
        response = await client.request(method, "/")

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == "The Host header names no host of this service."


@pytest.mark.parametrize("status", [400, 413])
async def test_an_apps_own_plain_text_stays(status: int) -> None:
    app = FastAPI()

    @app.post("/")
    async def read() -> PlainTextResponse:
        return PlainTextResponse("mine", status)

    @app.post("/json")
    async def read_json() -> Any:
        from starlette.responses import JSONResponse

        return JSONResponse({"mine": 1}, status)

    add_error_handlers(app)
    async with client_of(app) as client:
        text = await client.post("/", content=b"x")
        data = await client.post("/json", content=b"x")

    assert (text.status_code, text.text) == (status, "mine")
    assert (data.status_code, data.json()) == (status, {"mine": 1})


async def test_the_other_headers_of_a_plain_text_stay() -> None:
    app = FastAPI()

    @app.post("/")
    async def read() -> PlainTextResponse:
        return PlainTextResponse("Content Too Large", 413, headers={"Vary": "Origin"})

    add_error_handlers(app)
    async with client_of(app) as client:
        response = await client.post("/", content=b"x")

    assert response.headers["vary"] == "Origin"
    assert response.json()["status"] == 413


async def test_nothing_of_an_unreadable_body_is_logged(log_output: LogOutput) -> None:
    for content in (b'{"password": "hunter2"', b'{"password": "hunter2\xff"}'):
        await post(app_taking_items(), content)

    assert log_output.lines == []
