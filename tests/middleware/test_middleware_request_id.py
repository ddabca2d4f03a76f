"""One id for a request: taken if it is harmless, on every answer once, in every line."""

import asyncio
import string
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.logs import get_request_id
from fastapi_kit.middleware import RequestIdMiddleware, new_request_id
from tests.logs.capture import client_of, exchange, get

ALLOWED = string.ascii_letters + string.digits + "._-"


def make_app(**options: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def read() -> str | None:
        return get_request_id()

    @app.get("/own")
    async def own() -> PlainTextResponse:
        return PlainTextResponse("own", headers={"X-Request-ID": "mine"})

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept(headers=[(b"x-request-id", b"mine")])
        await websocket.send_json(get_request_id())

    app.add_middleware(RequestIdMiddleware, **options)
    return app


async def id_for(sent: bytes | None) -> str:
    """The id that a request gets which brings this one."""
    headers = [] if sent is None else [(b"x-request-id", sent)]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    messages = await exchange(RequestIdMiddleware(app), headers=headers)
    [(name, value)] = messages[0]["headers"]
    assert name == b"x-request-id"
    return str(value, "latin-1")


@settings(max_examples=50, deadline=None)
@given(st.text(ALLOWED, min_size=1, max_size=128))
def test_a_harmless_id_is_kept(sent: str) -> None:
    assert asyncio.run(id_for(sent.encode())) == sent


@settings(max_examples=50, deadline=None)
@given(st.binary() | st.text(ALLOWED, min_size=129, max_size=200).map(str.encode))
def test_any_other_id_is_replaced(sent: bytes) -> None:
    assume(len(sent) > 128 or sent.translate(None, ALLOWED.encode()))

    assert len(asyncio.run(id_for(sent))) == 32


@pytest.mark.parametrize(
    "sent", [b"", b"a b", b"a\r\nX-Evil: 1", b"a\n", b"a" * 129, b"\xc3\xa9", b'"', b"a,b", None]
)
async def test_an_id_that_could_do_harm_is_replaced(sent: bytes | None) -> None:
    made = await id_for(sent)

    assert len(made) == 32
    assert set(made) <= set(string.hexdigits)


async def test_of_two_ids_the_first_is_taken() -> None:
    async with client_of(make_app()) as client:
        response = await client.get("/", headers=[("X-Request-ID", "a"), ("X-Request-ID", "b")])

    assert response.json() == "a"
    assert response.headers.get_list("x-request-id") == ["a"]


async def test_the_apps_own_header_is_replaced() -> None:
    response = await get(make_app(), "/own", headers={"X-Request-ID": "a"})

    assert response.headers.get_list("x-request-id") == ["a"]


async def test_ids_differ() -> None:
    app = make_app()

    ids = {(await get(app)).json() for _ in range(20)}

    assert len(ids) == 20


async def test_the_header_may_have_another_name() -> None:
    response = await get(make_app(header_name="X-Trace"), "/own", headers={"X-Trace": "a"})

    assert response.headers["x-trace"] == "a"
    assert response.headers["x-request-id"] == "mine"


async def test_ids_may_be_made_by_the_app() -> None:
    numbers = iter(range(100))

    app = make_app(new_id=lambda: f"n-{next(numbers)}")

    first = (await get(app)).json()
    second = (await get(app)).json()
    assert (first, second) == ("n-1", "n-2")  # n-0 was made to see that they are accepted


def test_a_websocket_has_one_on_its_handshake() -> None:
    with TestClient(make_app()).websocket_connect(
        "/socket", headers={"X-Request-ID": "a"}
    ) as websocket:
        assert websocket.receive_json() == "a"
        headers: Any = websocket.extra_headers

    assert [value for name, value in headers if name == b"x-request-id"] == [b"a"]


async def test_other_scopes_pass() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    await exchange(RequestIdMiddleware(app), type="lifespan")

    assert seen == ["lifespan"]


@pytest.mark.parametrize("name", ["", "X Request", "X-Request-ID:", "é", "a\r\n"])
def test_a_header_that_has_no_such_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a header name"):
        RequestIdMiddleware(FastAPI(), header_name=name)


@pytest.mark.parametrize("made", ["", "a b", "a" * 129, 7, None])
def test_a_maker_of_other_ids_is_refused(made: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"which does not match \[A-Za-z0-9"):
        RequestIdMiddleware(FastAPI(), new_id=lambda: made)


def test_two_in_one_stack_are_refused() -> None:
    class Between:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    inner = Between(RequestIdMiddleware(FastAPI()))

    with (
        pytest.raises(ConfigurationError, match="RequestIdMiddleware is in the middleware stack"),
        TestClient(RequestIdMiddleware(inner)),
    ):
        raise AssertionError("started")  # pragma: no cover


def test_a_stack_that_loops_is_looked_through() -> None:
    class Loop:
        app: Any

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    loop = Loop()
    loop.app = loop

    assert RequestIdMiddleware(loop).app is loop


def test_a_new_id_has_128_bits() -> None:
    assert len(bytes.fromhex(new_request_id())) == 16


def test_ids_are_never_given_twice() -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: new_request_id(), range(2000)))

    assert len(set(ids)) == 2000


FORKED = """
import os
from fastapi_kit.middleware import new_request_id
new_request_id()
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, new_request_id().encode())
    os._exit(0)
os.wait()
assert os.read(reading, 32).decode() != new_request_id()
"""


def test_a_forked_process_gives_ids_of_its_own() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True)
