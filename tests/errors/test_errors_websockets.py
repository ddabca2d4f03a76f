"""WebSockets: an answer before the handshake, a close after it, silence to who has gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Query, WebSocket, WebSocketDisconnect
from fastapi.testclient import TestClient
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.testclient import WebSocketDenialResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_kit.errors import (
    ConflictError,
    NotFoundError,
    ServiceUnavailableError,
    UnauthorizedError,
    add_error_handlers,
)
from fastapi_kit.middleware import AccessLogMiddleware, RequestIdMiddleware
from tests.logs.capture import LogOutput

DENIAL: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}
CONNECT = {"type": "websocket.connect"}
LEFT = {"type": "websocket.disconnect", "code": 1006}


def refuse() -> None:
    raise UnauthorizedError("Who are you?")


async def connection() -> AsyncIterator[int]:
    yield 1


class Raw:
    """An ASGI app that accepts by itself, so that no Starlette object knows of it."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hello"})
        raise self.error


def make_app(**mounts: ASGIApp) -> FastAPI:  # noqa: C901  # many small endpoints
    app = FastAPI()

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    @app.websocket("/validated/{number}")
    async def validated(websocket: WebSocket, number: int, size: Annotated[int, Query()]) -> None:
        raise AssertionError("not valid")  # pragma: no cover

    @app.websocket("/early")
    async def early(websocket: WebSocket) -> None:
        raise ConflictError("Taken")

    @app.websocket("/late")
    async def late(websocket: WebSocket, connection: Annotated[int, Depends(connection)]) -> None:
        await websocket.accept()
        raise ConflictError("Taken")

    @app.websocket("/down")
    async def down(websocket: WebSocket) -> None:
        await websocket.accept()
        raise ServiceUnavailableError("Down")

    @app.websocket("/guarded", dependencies=[Depends(refuse)])
    async def guarded(websocket: WebSocket) -> None:
        raise AssertionError("refused")  # pragma: no cover

    @app.websocket("/broken")
    async def broken(websocket: WebSocket) -> None:
        raise ValueError("why")

    @app.websocket("/breaks")
    async def breaks(websocket: WebSocket) -> None:
        await websocket.accept()
        raise ValueError("why")

    @app.websocket("/closes")
    async def closes(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(4000)
        raise ConflictError

    @app.websocket("/forever")
    async def forever(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.receive_text()

    @app.websocket("/bytes")
    async def take_bytes(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_bytes()

    @app.websocket("/json/{mode}")
    async def take_json(websocket: WebSocket, mode: str) -> None:
        await websocket.accept()
        await websocket.receive_json(mode)

    @app.websocket("/own-mistake/{name}")
    async def own_mistake(websocket: WebSocket, name: str) -> None:
        await websocket.accept()
        await websocket.receive_text()
        raise {"key": KeyError("text"), "json": json.JSONDecodeError("why", "mine", 0)}[name]

    for name, mounted in mounts.items():
        app.mount(f"/{name}", mounted)
    add_error_handlers(app)
    app.add_middleware(AccessLogMiddleware)
    app.add_middleware(RequestIdMiddleware)
    return app


async def talk(app: ASGIApp, path: str, *received: Message, **more: Any) -> list[Message]:
    """What the app sends to one WebSocket, and at the end the type of what it raised."""
    waiting = [CONNECT, *received]
    sent: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {"type": "websocket", "path": path, "query_string": query.encode(), "headers": []}
    try:
        await app({**scope, "root_path": "", "subprotocols": [], **more}, receive, send)
    except Exception as error:  # noqa: BLE001  # whatever it is
        sent.append({"type": "raised", "error": type(error)})
    return sent


@pytest.mark.parametrize(
    ("path", "status", "member", "value"),
    [
        ("/early", 409, "detail", "Taken"),
        ("/guarded", 401, "detail", "Who are you?"),
        ("/nowhere", 404, "instance", "/nowhere"),
        ("/validated/x?size=1", 422, "detail", "The request is not valid."),
    ],
)
def test_before_the_handshake_the_answer_is_a_problem(
    log_output: LogOutput, path: str, status: int, member: str, value: str
) -> None:
    client = TestClient(make_app())

    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect(path):
        raise AssertionError("connected")  # pragma: no cover

    assert denied.value.status_code == status
    assert denied.value.headers["content-type"] == "application/problem+json"
    problem = denied.value.json()
    assert problem[member] == value
    assert denied.value.headers.get_list("x-request-id") == [problem["request_id"]]
    [line] = log_output.access
    assert line["http.response.status_code"] == status
    assert "error.type" not in line


def test_a_websockets_validation_names_each_parameter() -> None:
    client = TestClient(make_app())

    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/validated/hunter2"),
    ):
        raise AssertionError("connected")  # pragma: no cover

    errors = denied.value.json()["errors"]
    assert [(error["in"], error["name"]) for error in errors] == [
        ("path", "number"),
        ("query", "size"),
    ]
    assert "hunter2" not in str(errors)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/early", "409 Conflict"),
        ("/guarded", "401 Unauthorized"),
        ("/nowhere", "404 Not Found"),
        ("/validated/x", "422 Unprocessable Content"),
    ],
)
@pytest.mark.parametrize("extensions", [{}, None, {"tls": {}}])
async def test_on_a_server_without_such_answers_it_is_a_close(
    path: str, reason: str, extensions: Any
) -> None:
    sent = await talk(make_app(), path, extensions=extensions)

    assert sent == [{"type": "websocket.close", "code": 1008, "reason": reason}]


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [("/late", 1008, "409 Conflict"), ("/down", 1011, "503 Service Unavailable")],
)
@pytest.mark.parametrize("more", [{}, DENIAL], ids=["plain", "denial"])
async def test_after_the_handshake_it_is_a_close(
    log_output: LogOutput, path: str, code: int, reason: str, more: Any
) -> None:
    sent = await talk(make_app(), path, **more)

    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert (sent[1]["code"], sent[1]["reason"]) == (code, reason)
    [line] = log_output.access
    assert line["websocket.close_code"] == code


async def test_an_unhandled_exception_before_the_handshake_is_a_500(
    log_output: LogOutput,
) -> None:
    start, body, raised = await talk(make_app(), "/broken", **DENIAL)

    assert (start["type"], start["status"]) == ("websocket.http.response.start", 500)
    assert b"Internal Server Error" in body["body"]
    assert b"why" not in body["body"]
    assert raised["error"] is ValueError
    [line] = log_output.errors
    assert line["message"] == "Unhandled ValueError"
    [access] = log_output.access
    assert access["http.response.status_code"] == 500
    assert access["error.type"] == "ValueError"


async def test_without_such_answers_the_server_is_left_to_make_the_500() -> None:
    assert await talk(make_app(), "/broken") == [{"type": "raised", "error": ValueError}]


@pytest.mark.parametrize("more", [{}, DENIAL], ids=["plain", "denial"])
async def test_an_unhandled_exception_after_the_handshake_closes_and_is_raised(
    log_output: LogOutput, more: Any
) -> None:
    accept, close, raised = await talk(make_app(), "/breaks", **more)

    assert accept["type"] == "websocket.accept"
    assert (close["type"], close["code"]) == ("websocket.close", 1011)
    assert close["reason"] == "500 Internal Server Error"
    assert raised["error"] is ValueError
    assert len(log_output.errors) == 1
    [access] = log_output.access
    assert access["error.type"] == "ValueError"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/echo", {"bytes": b"hello"}),
        ("/echo", {"bytes": b"\xff"}),
        ("/bytes", {"text": "hello"}),
        ("/json/text", {"text": "{"}),
        ("/json/text", {"bytes": b"{}"}),
        ("/json/binary", {"bytes": b"{"}),
        ("/json/binary", {"bytes": b"\xff"}),
        ("/json/binary", {"text": "{}"}),
    ],
)
async def test_a_message_of_the_wrong_kind_is_the_clients_mistake(
    log_output: LogOutput, path: str, message: Message
) -> None:
    sent = await talk(make_app(), path, {"type": "websocket.receive", **message})

    reason = "422 Unprocessable Content"
    assert sent[1:] == [{"type": "websocket.close", "code": 1008, "reason": reason}]
    assert log_output.errors == []


@pytest.mark.parametrize("name", ["key", "json"])
async def test_the_like_in_the_apps_own_code_stays_the_apps(name: str) -> None:
    message = {"type": "websocket.receive", "text": "hello"}

    _, close, raised = await talk(make_app(), f"/own-mistake/{name}", message)

    assert close["code"] == 1011
    assert issubclass(raised["error"], KeyError | ValueError)


async def test_nothing_is_sent_after_the_apps_own_close() -> None:
    sent = await talk(make_app(), "/closes")

    assert [message.get("code") for message in sent] == [None, 4000]


async def test_a_client_that_leaves_is_no_error(log_output: LogOutput) -> None:
    sent = await talk(make_app(), "/forever", LEFT)

    assert [message["type"] for message in sent] == ["websocket.accept"]
    assert log_output.errors == []
    [line] = log_output.access
    assert line["websocket.close_code"] == 1006
    assert line["error.type"] == "client_disconnected"


async def test_nothing_is_sent_to_a_client_that_has_left() -> None:
    app = FastAPI()

    @app.websocket("/")
    async def clean_up(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect:
            raise ConflictError from None

    add_error_handlers(app)

    assert [message["type"] for message in await talk(app, "/", LEFT)] == ["websocket.accept"]


@pytest.mark.parametrize("more", [{}, DENIAL], ids=["plain", "denial"])
async def test_an_error_of_a_raw_asgi_app_closes_what_it_has_opened(more: Any) -> None:
    app = make_app(raw=Raw(NotFoundError()))

    sent = await talk(app, "/raw/", **more)

    assert [message["type"] for message in sent[:-1]] == ["websocket.accept", "websocket.send"]
    assert sent[-1] == {"type": "websocket.close", "code": 1008, "reason": "404 Not Found"}


@pytest.mark.parametrize(
    ("more", "types"),
    [
        ({}, ["websocket.close"]),
        (DENIAL, ["websocket.http.response.start", "websocket.http.response.body"]),
    ],
    ids=["plain", "denial"],
)
async def test_an_http_exception_of_a_middleware_refuses(more: Any, types: list[str]) -> None:
    class Refusing:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            raise UnauthorizedError

    app = make_app()
    app.add_middleware(Refusing)

    sent = await talk(app, "/echo", **more)

    assert [message["type"] for message in sent] == types


async def test_a_wrong_host_is_a_problem_for_a_websocket_too() -> None:
    app = make_app()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["shop.example.com"])

    start, body = await talk(app, "/echo", headers=[(b"host", b"other")], **DENIAL)

    assert (start["type"], start["status"]) == ("websocket.http.response.start", 400)
    assert b"The Host header names no host of this service." in body["body"]


def test_a_websocket_that_works_is_left_alone(log_output: LogOutput) -> None:
    client = TestClient(make_app())

    with client.websocket_connect("/echo") as websocket:
        websocket.send_text("hello")
        assert websocket.receive_text() == "hello"
        assert websocket.extra_headers is not None
        names = [name for name, _ in websocket.extra_headers]

    assert names.count(b"x-request-id") == 1
    [line] = log_output.access
    assert line["http.response.status_code"] == 101
    assert line["http.route"] == "/echo"
    assert "error.type" not in line


def test_a_cancelled_websocket_is_not_logged_as_an_error(log_output: LogOutput) -> None:
    async def cancelled() -> None:
        app = make_app()
        blocked = asyncio.Event()

        async def receive() -> Message:
            blocked.set()
            await asyncio.Event().wait()
            raise AssertionError("never")  # pragma: no cover

        async def send(message: Message) -> None:
            raise AssertionError("never")  # pragma: no cover

        scope = {"type": "websocket", "path": "/echo", "headers": [], "query_string": b""}
        task = asyncio.create_task(app(scope, receive, send))
        await blocked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())

    assert log_output.errors == []
    [line] = log_output.access
    assert line["error.type"] == "CancelledError"
