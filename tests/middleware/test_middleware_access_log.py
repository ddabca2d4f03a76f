"""One line for each request, whatever becomes of it."""

import asyncio
import contextvars
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, Request, WebSocket
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_kit.errors import ConfigurationError, add_error_handlers
from fastapi_kit.logs import JsonFormatter, add_log_fields
from fastapi_kit.middleware import AccessLog, AccessLogMiddleware, RequestIdMiddleware
from tests.logs.capture import LogOutput, client_of, exchange, get

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
LAST: Message = {"type": "http.response.body", "body": b""}
GONE: Message = {"type": "http.disconnect"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def log_around(app: FastAPI, **options: Any) -> FastAPI:
    app.add_middleware(AccessLogMiddleware, options=AccessLog(**options))
    app.add_middleware(RequestIdMiddleware)
    return app


def make_app(**options: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def read(item_id: int) -> int:
        return item_id

    @app.get("/status/{code}")
    async def answer(code: int) -> PlainTextResponse:
        return PlainTextResponse("", code)

    return log_around(app, **options)


async def access_of(app: ASGIApp, log_output: LogOutput, path: str, **options: Any) -> Any:
    """The one access line of one GET."""
    await get(app, path, **options)
    [line] = log_output.access
    return line


async def test_the_line_tells_what_was_asked_and_answered(log_output: LogOutput) -> None:
    app = make_app()

    response = await get(app, "/items/7?page=1&token=abc")

    [line] = log_output.lines
    duration = line.pop("duration_ms")
    assert line.pop("timestamp").endswith("Z")
    assert 0 < duration < 10_000
    assert line == {
        "level": "INFO",
        "logger": "fastapi_kit.access",
        "message": "GET /items/7 200",
        "request_id": response.headers["x-request-id"],
        "http.request.method": "GET",
        "url.path": "/items/7",
        "url.query": "page=1&token=[redacted]",
        "http.route": "/items/{item_id}",
        "http.response.status_code": 200,
        "client.address": "127.0.0.1",
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/items/7", None),
        ("/items/7?", None),
        ("/items/7?page=1&page=2", "page=1&page=2"),
        ("/items/7?%74oken=a&token=b", "%74oken=[redacted]&token=[redacted]"),
        ("/items/7?voucher=a&VOUCHER=b", "voucher=[redacted]&VOUCHER=[redacted]"),
        ("/items/7?q=%0D%0Aforged", "q=%0D%0Aforged"),
        ("/items/7?q=%FF", "q=%FF"),
    ],
)
async def test_the_query_is_redacted(
    log_output: LogOutput, path: str, expected: str | None
) -> None:
    line = await access_of(make_app(redact_query={"Voucher"}), log_output, path)

    assert line.get("url.query") == expected


async def test_a_path_with_line_breaks_is_one_line(log_output: LogOutput) -> None:
    line = await access_of(make_app(), log_output, "/a%0D%0Ab%E2%80%A8c")

    assert line["url.path"] == "/a\r\nb\u2028c"
    assert line["message"] == "GET /a\r\nb\u2028c 404"
    assert len(log_output.stream.getvalue().splitlines()) == 1


async def test_a_token_in_the_path_is_redacted(log_output: LogOutput) -> None:
    line = await access_of(make_app(), log_output, "/verify/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x")

    assert line["url.path"] == "/verify/[redacted]"


@settings(max_examples=50, deadline=None)
@given(
    path=st.text(st.characters(exclude_categories=[])).map(lambda text: "/" + text),
    query=st.binary(),
    client=st.none() | st.tuples(st.text(), st.integers()),
)
def test_any_request_has_one_valid_line(path: str, query: bytes, client: Any) -> None:
    output = LogOutput()
    handler = logging.StreamHandler(output.stream)
    from fastapi_kit.logs import JsonFormatter

    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("fastapi_kit.access")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        scope = {"path": path, "query_string": query, "client": client}
        asyncio.run(exchange(make_app(), **scope))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)

    [line] = output.access
    assert line["http.response.status_code"] in (200, 307, 404, 422)


async def test_a_scope_that_holds_the_least_has_a_line(log_output: LogOutput) -> None:
    app = AccessLogMiddleware(PlainTextResponse("hello"))
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing to receive")  # pragma: no cover

    await app({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)

    [line] = log_output.access
    assert line["http.response.status_code"] == 200
    assert "client.address" not in line
    assert "http.route" not in line


def routed() -> FastAPI:
    async def read(request: Request) -> PlainTextResponse:
        return PlainTextResponse("read")

    def endpoint() -> str:
        return "read"

    app, inner, outer, twice = FastAPI(), APIRouter(), APIRouter(prefix="/outer"), APIRouter()
    inner.get("/inner/{number:int}")(lambda number: "read")
    outer.include_router(inner, prefix="/{shop}")
    app.include_router(outer)
    twice.get("/twice/{number}")(endpoint)
    app.include_router(twice, prefix="/a")
    app.include_router(twice, prefix="/b")
    child = FastAPI()
    child.get("/items/{name}")(lambda name: "read")
    child.include_router(twice)
    app.mount("/child/{name}", child)
    app.mount("/star", Starlette(routes=[Route("/r/{path:path}", read)]))
    app.mount("/static", StaticFiles(directory=Path(__file__).parent))
    app.mount("/raw", PlainTextResponse("raw"))
    app.router.routes.append(Host("{sub}.host.test", Router([Route("/h/{x}", read)])))
    return app


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/outer/shop/inner/7", "/outer/{shop}/inner/{number}"),
        ("/a/twice/7", "/a/twice/{number}"),
        ("/b/twice/7", "/b/twice/{number}"),
        ("/child/x/twice/7", "/child/{name}/twice/{number}"),
        ("/child/x/items/y", "/child/{name}/items/{name}"),
        ("/star/r/a/b", "/star/r/{path}"),
        ("/static/conftest.py", "/static/{path}"),
        ("/raw/x", "/raw/{path}"),
        ("/docs", "/docs"),
        ("/nowhere", None),
    ],
)
async def test_the_route_is_the_whole_template(
    log_output: LogOutput, path: str, route: str | None
) -> None:
    line = await access_of(log_around(routed()), log_output, path)

    assert line.get("http.route") == route
    assert line["http.response.status_code"] == (404 if route is None else 200)


async def test_a_host_route_has_its_template(log_output: LogOutput) -> None:
    async with client_of(log_around(routed()), base_url="http://a.host.test") as client:
        await client.get("/h/1")

    assert log_output.access[0]["http.route"] == "/h/{x}"


async def test_a_wrong_method_still_has_its_route(log_output: LogOutput) -> None:
    async with client_of(make_app()) as client:
        await client.delete("/items/7")

    [line] = log_output.access
    assert (line["http.route"], line["http.response.status_code"]) == ("/items/{item_id}", 405)


async def test_behind_a_proxy_the_path_is_the_apps_own(log_output: LogOutput) -> None:
    async with client_of(log_around(routed()), root_path="/api") as client:
        await client.get("/api/b/twice/7")

    [line] = log_output.access
    assert (line["url.path"], line["http.route"]) == ("/b/twice/7", "/b/twice/{number}")


async def test_a_route_added_late_has_its_template(log_output: LogOutput) -> None:
    app = make_app()
    await get(app, "/items/7")

    app.get("/late/{x}")(lambda x: x)
    await get(app, "/late/1")

    assert log_output.access[1]["http.route"] == "/late/{x}"


async def test_routes_that_cannot_be_walked_cost_only_the_template(log_output: LogOutput) -> None:
    class Other(BaseRoute):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            return Match.NONE, {}

    class Odd(BaseRoute):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            return Match.FULL, {"endpoint": self}

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse("odd")(scope, receive, send)

        @property
        def path(self) -> str:
            raise RuntimeError("no path")

    app = FastAPI()
    app.router.routes += [Other(), Odd()]

    line = await access_of(log_around(app), log_output, "/odd")

    assert line["http.response.status_code"] == 200
    assert "http.route" not in line


async def test_a_mount_that_is_included_has_its_prefix(log_output: LogOutput) -> None:
    router = APIRouter()
    router.routes.append(Mount("/raw", PlainTextResponse("raw")))
    app = FastAPI()
    app.include_router(router, prefix="/v1")

    line = await access_of(log_around(app), log_output, "/v1/raw/x")

    assert line["http.route"] == "/v1/raw/{path}"


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("fastapi_kit.middleware.access_log.perf_counter", clock)
    return clock


async def test_a_stream_lasts_to_its_last_chunk(log_output: LogOutput, clock: Clock) -> None:
    app = FastAPI()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            clock.now += 1
            yield b"x"
        clock.now += 0.5

    @app.get("/")
    async def read() -> StreamingResponse:
        clock.now += 2
        return StreamingResponse(chunks())

    line = await access_of(log_around(app), log_output, "/")

    assert line["duration_ms"] == 5500


async def test_background_tasks_do_not_lengthen_it(log_output: LogOutput, clock: Clock) -> None:
    app = FastAPI()
    logged: list[int] = []

    async def work() -> None:
        logged.append(len(log_output.access))
        clock.now += 60

    @app.get("/")
    async def read(tasks: BackgroundTasks) -> None:
        clock.now += 1
        tasks.add_task(work)

    line = await access_of(log_around(app), log_output, "/")

    assert line["duration_ms"] == 1000
    assert logged == [1]


@pytest.mark.parametrize("status", [200, 404, 500, 503])
async def test_a_server_error_is_named_by_its_status(log_output: LogOutput, status: int) -> None:
    line = await access_of(make_app(), log_output, f"/status/{status}")

    assert line.get("error.type") == (str(status) if status >= 500 else None)


@pytest.mark.parametrize(
    ("error", "status", "error_type"),
    [
        (ValueError(), 500, "ValueError"),
        (HTTPException(403), 403, None),
        (HTTPException(503), 503, "503"),
        (ClientDisconnect(), None, "client_disconnected"),
        (asyncio.CancelledError(), None, "CancelledError"),
    ],
    ids=repr,
)
async def test_an_exception_that_is_answered_further_out_is_told(
    log_output: LogOutput, error: BaseException, status: int | None, error_type: str | None
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    with pytest.raises(type(error)):
        await exchange(AccessLogMiddleware(app))

    [line] = log_output.access
    assert line.get("http.response.status_code") == status
    assert line.get("error.type") == error_type


async def test_an_exception_in_the_midst_of_an_answer_is_told(log_output: LogOutput) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        raise HTTPException(403)

    with pytest.raises(HTTPException):
        await exchange(AccessLogMiddleware(app))

    [line] = log_output.access
    assert line["http.response.status_code"] == 200
    assert line["error.type"] == "HTTPException"


async def test_a_client_that_leaves_before_the_answer_is_told(log_output: LogOutput) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    await exchange(AccessLogMiddleware(app), GONE)

    [line] = log_output.access
    assert line["error.type"] == "client_disconnected"
    assert "http.response.status_code" not in line
    assert line["message"] == "GET / -"


async def test_a_client_that_leaves_in_the_midst_of_a_stream_is_told(
    log_output: LogOutput,
) -> None:
    app = FastAPI()
    endless = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"begun"
        await endless.wait()
        yield b"never"  # pragma: no cover

    @app.get("/")
    async def read() -> StreamingResponse:
        return StreamingResponse(chunks())

    await exchange(log_around(app), GONE)

    [line] = log_output.access
    assert line["http.response.status_code"] == 200
    assert line["error.type"] == "client_disconnected"


async def test_a_server_that_says_so_by_an_error_is_understood(log_output: LogOutput) -> None:
    async def send(message: Message) -> None:
        raise OSError("gone")

    async def receive() -> Message:
        raise AssertionError("nothing to receive")  # pragma: no cover

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with pytest.raises(OSError, match="gone"):
        await AccessLogMiddleware(PlainTextResponse("hello"))(scope, receive, send)

    assert log_output.access[0]["error.type"] == "client_disconnected"


async def test_leaving_after_the_answer_is_no_error(log_output: LogOutput) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(LAST)
        await receive()

    await exchange(AccessLogMiddleware(app), GONE)

    assert "error.type" not in log_output.access[0]


@pytest.mark.parametrize(
    ("messages", "error_type"),
    [([], "no_response"), ([START], "response_incomplete"), ([START, LAST], None)],
)
async def test_an_app_that_does_not_finish_is_told(
    log_output: LogOutput, messages: list[Message], error_type: str | None
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    await exchange(AccessLogMiddleware(app))

    assert log_output.access[0].get("error.type") == error_type


async def test_a_file_that_the_server_sends_itself_ends_the_answer(log_output: LogOutput) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.pathsend", "path": "/a"})

    await exchange(AccessLogMiddleware(app))

    assert "error.type" not in log_output.access[0]


async def test_paths_can_be_skipped_unless_they_fail(log_output: LogOutput) -> None:
    app = make_app(skip={"/items/1", "/status/500"})

    for path in ("/items/1", "/items/2", "/status/500"):
        await get(app, path)

    assert [line["url.path"] for line in log_output.access] == ["/items/2", "/status/500"]


async def test_a_skipped_path_whose_endpoint_raises_is_logged(log_output: LogOutput) -> None:
    app = FastAPI()

    @app.get("/livez")
    async def livez() -> None:
        raise ValueError

    await get(log_around(app, skip={"/livez"}), "/livez")

    assert len(log_output.access) == 1


def test_a_websocket_has_one_line_at_its_close(log_output: LogOutput) -> None:
    app = FastAPI()

    @app.websocket("/rooms/{room}")
    async def talk(websocket: WebSocket, room: str) -> None:
        await websocket.accept()
        await websocket.send_text(str(len(log_output.access)))
        await websocket.close(4001)

    with TestClient(log_around(app)).websocket_connect("/rooms/a?token=x") as websocket:
        assert websocket.receive_text() == "0"

    [line] = log_output.access
    assert line["http.request.method"] == "WEBSOCKET"
    assert line["http.route"] == "/rooms/{room}"
    assert line["url.query"] == "token=[redacted]"
    assert line["http.response.status_code"] == 101
    assert line["websocket.close_code"] == 4001
    assert "error.type" not in line


@pytest.mark.parametrize(
    ("code", "error_type"),
    [(1000, None), (1001, None), (1005, None), (1006, "client_disconnected"), (1011, "client_disconnected")],
)  # fmt: skip
async def test_how_a_client_closed_is_told(
    log_output: LogOutput, code: int, error_type: str | None
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await receive()

    await exchange(
        AccessLogMiddleware(app), {"type": "websocket.disconnect", "code": code}, type="websocket"
    )

    [line] = log_output.access
    assert line["websocket.close_code"] == code
    assert line.get("error.type") == error_type


async def test_the_disconnect_that_follows_the_apps_own_close_changes_nothing(
    log_output: LogOutput,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        await receive()

    await exchange(
        AccessLogMiddleware(app), {"type": "websocket.disconnect", "code": 1006}, type="websocket"
    )

    [line] = log_output.access
    assert line["websocket.close_code"] == 1000
    assert "error.type" not in line


async def test_a_websocket_that_ends_without_a_close_is_no_error(log_output: LogOutput) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    await exchange(AccessLogMiddleware(app), type="websocket")

    assert "error.type" not in log_output.access[0]


async def test_a_refused_websocket_is_a_403(log_output: LogOutput) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 1008})

    await exchange(AccessLogMiddleware(app), type="websocket")

    [line] = log_output.access
    assert line["http.response.status_code"] == 403
    assert line["websocket.close_code"] == 1008


async def test_a_websocket_answered_by_http_has_that_status(log_output: LogOutput) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 401})
        await send({"type": "websocket.http.response.body"})

    await exchange(AccessLogMiddleware(app), type="websocket")

    assert log_output.access[0]["http.response.status_code"] == 401


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"00-{TRACE}-{SPAN}-01", (TRACE, SPAN)),
        (f"cc-{TRACE}-{SPAN}-01-later-versions", (TRACE, SPAN)),
        (f"ff-{TRACE}-{SPAN}-01", (None, None)),
        (f"00-{'0' * 32}-{SPAN}-01", (None, None)),
        (f"00-{TRACE}-{'0' * 16}-01", (None, None)),
        (f"00-{TRACE.upper()}-{SPAN}-01", (None, None)),
        (f"00-{TRACE}-{SPAN}", (None, None)),
        ("", (None, None)),
        ("\r\n", (None, None)),
    ],
)
async def test_the_callers_trace_is_told(
    log_output: LogOutput, header: str, expected: tuple[str | None, str | None]
) -> None:
    await exchange(make_app(), headers=[(b"traceparent", header.encode())])

    [line] = log_output.access
    assert (line.get("trace_id"), line.get("span_id")) == expected


async def test_a_span_of_the_app_wins(log_output: LogOutput) -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(0xABC, 0xDEF, is_remote=False))

    with trace.use_span(span):
        line = await access_of(
            make_app(), log_output, "/", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"}
        )

    assert (line["trace_id"], line["span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")


async def test_a_span_without_ids_does_not(log_output: LogOutput) -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(0, 0, is_remote=False))

    with trace.use_span(span):
        line = await access_of(
            make_app(), log_output, "/", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"}
        )

    assert (line["trace_id"], line["span_id"]) == (TRACE, SPAN)


@pytest.mark.parametrize("level", [logging.WARNING, logging.CRITICAL])
async def test_a_logger_above_info_writes_nothing(log_output: LogOutput, level: int) -> None:
    logging.getLogger("fastapi_kit.access").setLevel(level)

    response = await get(make_app(), "/items/7")

    assert response.json() == 7
    assert log_output.lines == []


async def test_a_disabled_logger_writes_nothing(log_output: LogOutput) -> None:
    logging.getLogger("fastapi_kit.access").disabled = True

    assert (await get(make_app(), "/items/7")).json() == 7
    assert log_output.lines == []


class Failing(logging.Handler):
    """A handler that raises for some records, as one for a network may."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def emit(self, record: logging.LogRecord) -> None:
        if record.name in self.names:
            raise ConnectionError("log server down")


async def test_a_handler_that_raises_harms_no_answer_and_is_reported(
    log_output: LogOutput,
) -> None:
    logging.getLogger().addHandler(Failing("fastapi_kit.access"))

    response = await get(make_app(), "/items/7")

    assert response.json() == 7
    [line] = log_output.errors
    assert line["message"] == "An access line could not be written"
    assert "log server down" in line["exception.stacktrace"]


async def test_a_handler_that_raises_for_the_report_too_is_reported_to_stderr(
    log_output: LogOutput, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger().addHandler(
        Failing("fastapi_kit.access", "fastapi_kit.middleware.access_log")
    )

    response = await get(make_app(), "/items/7")

    assert response.json() == 7
    assert "ConnectionError: log server down" in capsys.readouterr().err


class Keeping(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


async def test_its_record_has_every_attribute_of_a_record(log_output: LogOutput) -> None:
    keeping = Keeping()
    logging.getLogger().addHandler(keeping)

    await get(make_app(), "/items/7")

    [record] = keeping.records
    usual = logging.getLogger("fastapi_kit.access").makeRecord(
        "fastapi_kit.access", logging.INFO, "", 0, "GET /items/7 200", (), None
    )
    assert vars(usual).keys() <= vars(record).keys()
    for name in ("name", "levelname", "levelno", "args", "exc_info", "stack_info", "process"):
        assert getattr(record, name) == getattr(usual, name)
    assert record.getMessage() == usual.getMessage()
    assert 0 <= usual.relativeCreated - record.relativeCreated < 60_000
    assert record.msecs == pytest.approx(record.created % 1 * 1000)


FORKED = """
import os
from fastapi_kit.logs.access import access_logger, log_access
seen = []
access_logger.callHandlers = seen.append
child = os.fork()
log_access("GET / 200", {})
if child == 0:
    os._exit(seen[0].process != os.getpid())
_, status = os.waitpid(child, 0)
assert (seen[0].process, os.waitstatus_to_exitcode(status)) == (os.getpid(), 0)
"""


def test_its_record_tells_the_process_after_a_fork() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True)


async def test_an_answer_that_ends_twice_has_one_line(log_output: LogOutput) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("hello")(scope, receive, send)
        await send({"type": "http.response.body", "body": b""})

    await exchange(AccessLogMiddleware(app))

    [line] = log_output.access
    assert "error.type" not in line


async def test_a_custom_record_factory_is_used(log_output: LogOutput) -> None:
    standard = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = standard(*args, **kwargs)
        record.pod = "a-1"
        return record

    logging.setLogRecordFactory(factory)

    line = await access_of(make_app(), log_output, "/items/7")

    assert line["http.route"] == "/items/{item_id}"
    assert line["message"] == "GET /items/7 200"


@pytest.mark.parametrize("name", ["fastapi_kit.access", None])
async def test_filters_of_the_logger_and_of_the_handler_are_asked(
    name: str | None, log_output: LogOutput
) -> None:
    logger = logging.getLogger(name)
    ours = [one for one in logger.handlers if isinstance(one.formatter, JsonFormatter)]
    (ours[0] if ours else logger).addFilter(
        lambda record: record.getMessage() != "GET /items/7 200"
    )

    await get(make_app(), "/items/7")
    await get(make_app(), "/items/8")

    assert [line["url.path"] for line in log_output.access] == ["/items/8"]


async def test_other_formatters_find_what_they_look_for(log_output: LogOutput) -> None:
    handler = logging.StreamHandler(log_output.stream)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(process)d %(threadName)s %(levelname)s %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]

    await get(make_app(), "/items/7")

    assert log_output.stream.getvalue().endswith("INFO GET /items/7 200\n")


async def test_the_fields_of_a_request_survive_copies_of_its_scope(log_output: LogOutput) -> None:
    class Copying:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            context = contextvars.copy_context()
            await asyncio.create_task(
                self.app(dict(scope), receive, send),  # type: ignore[arg-type]
                context=context,
            )

    app = FastAPI()

    @app.get("/")
    async def read() -> None:
        add_log_fields(order=7)
        raise ValueError

    add_error_handlers(app)
    app.add_middleware(Copying)

    line = await access_of(log_around(app), log_output, "/")

    assert line["order"] == 7
    assert line["error.type"] == "ValueError"


async def test_a_base_http_middleware_changes_nothing(log_output: LogOutput) -> None:
    async def dispatch(request: Request, call_next: Callable[..., Any]) -> Any:
        add_log_fields(seen=True)
        return await call_next(request)

    app = FastAPI()
    app.get("/")(lambda: "read")
    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)

    line = await access_of(log_around(app), log_output, "/")

    assert line["seen"] is True
    assert line["http.route"] == "/"
    assert "error.type" not in line


def test_it_takes_any_asgi_app(log_output: LogOutput) -> None:
    client = TestClient(AccessLogMiddleware(PlainTextResponse("hello")))

    assert client.get("/a").text == "hello"
    assert log_output.access[0]["url.path"] == "/a"


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (AccessLogMiddleware, "AccessLogMiddleware is in the middleware stack twice"),
        (RequestIdMiddleware, "AccessLogMiddleware is outside of RequestIdMiddleware"),
    ],
)
async def test_in_the_wrong_place_it_fails_the_start(inner: Any, message: str) -> None:
    app = FastAPI()
    app.add_middleware(inner)
    app.add_middleware(AccessLogMiddleware)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(ConfigurationError, match=message):
        await app({"type": "lifespan"}, receive, send)

    # Without it, uvicorn takes this for an app without lifespan, and serves.
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert message in sent[0]["message"]


@pytest.mark.parametrize("skip", ["/livez", {"livez"}, ["/a", ""]])
def test_paths_to_skip_must_be_paths(skip: Any) -> None:
    with pytest.raises(ConfigurationError, match="must be a collection of paths that begin"):
        AccessLog(skip=skip)


def test_names_to_redact_must_be_a_collection() -> None:
    with pytest.raises(ConfigurationError, match="redact_query='voucher' must be a collection"):
        AccessLog(redact_query="voucher")


async def test_fifty_requests_at_once_have_fifty_lines(log_output: LogOutput) -> None:
    app = make_app()

    async with client_of(app) as client:
        responses: list[httpx.Response] = await asyncio.gather(
            *(client.get(f"/items/{number}") for number in range(50))
        )

    lines = {line["url.path"]: line["request_id"] for line in log_output.access}
    assert lines == {
        f"/items/{number}": response.headers["x-request-id"]
        for number, response in enumerate(responses)
    }
