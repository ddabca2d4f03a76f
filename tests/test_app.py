"""setup_app: everything around an app, in the right order, also under a real server."""

import json
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.sse import EventSourceResponse
from fastapi.testclient import TestClient
from opentelemetry import trace
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.sync.client import connect

from fastapi_kit.app import Cors, setup_app
from fastapi_kit.errors import AppError, ConfigurationError, ConflictError, add_error_handlers
from fastapi_kit.logs import configure_logging
from fastapi_kit.middleware import (
    AccessLog,
    AccessLogMiddleware,
    RequestIdMiddleware,
    SecurityHeaders,
    SecurityHeadersMiddleware,
    TimingMiddleware,
)
from fastapi_kit.settings import AppSettings
from tests.logs.capture import LogOutput, client_of, exchange, get, log_output, logging_restored

__all__ = ["log_output", "logging_restored"]

ORIGIN = "https://app.example.com"


def make_app(settings: AppSettings | None = None, **options: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def read() -> str:
        return "read"

    @app.get("/conflict")
    async def conflict() -> None:
        raise ConflictError

    @app.get("/failure")
    async def failure() -> None:
        raise ValueError("why")

    @app.get("/redirect")
    async def redirect() -> RedirectResponse:
        return RedirectResponse("/")

    @app.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    setup_app(app, settings, **options)
    return app


def settings_of(**values: Any) -> AppSettings:
    return AppSettings.for_tests(**values)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/redirect", 307),
        ("GET", "/conflict", 409),
        ("GET", "/failure", 500),
        ("GET", "/nowhere", 404),
        ("DELETE", "/", 405),
        ("POST", "/body", 413),
        ("GET", "/docs", 200),
        ("OPTIONS", "/", 200),
    ],
)
async def test_every_answer_has_every_header_and_one_line(
    log_output: LogOutput, method: str, path: str, status: int
) -> None:
    app = make_app(cors=Cors(allow_origins=[ORIGIN]), process_time=True)
    app.max_body_size = 10
    preflight = {"Access-Control-Request-Method": "GET"} if method == "OPTIONS" else {}

    async with client_of(app) as client:
        response = await client.request(
            method,
            path,
            content=b"x" * 11 if method == "POST" else None,
            headers={"Origin": ORIGIN, **preflight},
        )

    assert response.status_code == status
    [line] = log_output.access
    assert response.headers.get_list("x-request-id") == [line["request_id"]]
    assert len(response.headers.get_list("server-timing")) == 1
    assert float(response.headers["x-process-time"]) >= 0
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"]
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert line["http.response.status_code"] == status
    if status >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["request_id"] == line["request_id"]


async def test_a_wrong_host_has_every_header_too(log_output: LogOutput) -> None:
    app = make_app(settings_of(allowed_hosts=["shop.example.com"]), cors=Cors(allow_origins=["*"]))

    response = await get(app, headers={"Origin": ORIGIN})

    assert response.status_code == 400
    assert response.json()["detail"] == "The Host header names no host of this service."
    for name in ("x-request-id", "server-timing", "referrer-policy", "access-control-allow-origin"):
        assert name in response.headers


@pytest.mark.parametrize("add", ["before", "after"])
async def test_the_apps_own_middlewares_lie_inside_whenever_they_are_added(
    log_output: LogOutput, add: str
) -> None:
    class Refusing:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            raise ConflictError("not now")

    app = FastAPI()
    if add == "before":
        app.add_middleware(Refusing)
    setup_app(app)
    if add == "after":
        app.add_middleware(Refusing)

    response = await get(app)

    assert (response.status_code, response.json()["detail"]) == (409, "not now")
    [line] = log_output.access
    assert line["request_id"] == response.headers["x-request-id"]
    assert "error.type" not in line


async def test_an_unhandled_exception_is_logged_once_with_the_id(log_output: LogOutput) -> None:
    response = await get(make_app(cors=Cors(allow_origins=["*"])), "/failure")

    [line] = log_output.errors
    assert line["message"] == "Unhandled ValueError"
    assert line["request_id"] == response.headers["x-request-id"]


def test_it_is_raised_for_tests_to_see(log_output: LogOutput) -> None:
    with pytest.raises(ValueError, match="why"):
        TestClient(make_app()).get("/failure")


async def test_each_part_can_be_left_out(log_output: LogOutput) -> None:
    response = await get(make_app(access_log=None, server_timing=False, security_headers=None))

    assert log_output.access == []
    assert "server-timing" not in response.headers
    assert "referrer-policy" not in response.headers
    assert "x-request-id" in response.headers


@pytest.mark.parametrize(
    ("left_out", "missing"),
    [({"server_timing": False}, "server-timing"), ({"security_headers": None}, "referrer-policy")],
)
async def test_one_part_can_be_left_out(
    left_out: dict[str, Any], missing: str, log_output: LogOutput
) -> None:
    response = await get(make_app(**left_out))

    names = {"server-timing", "referrer-policy", "x-request-id"}
    assert names - set(response.headers) == {missing}
    assert len(log_output.access) == 1


async def test_the_time_in_seconds_is_told_where_asked_for(log_output: LogOutput) -> None:
    response = await get(make_app(process_time=True))

    assert float(response.headers["x-process-time"]) > 0


async def test_what_the_app_says_itself_stays_and_its_id_does_not(log_output: LogOutput) -> None:
    app = make_app()
    own = {"X-Frame-Options": "SAMEORIGIN", "Server-Timing": "db;dur=1", "X-Request-ID": "other"}

    @app.get("/own")
    async def answer() -> Response:
        return Response(headers=own)

    response = await get(app, "/own", headers={"X-Request-ID": "abc-1"})

    assert response.headers.get_list("x-request-id") == ["abc-1"]
    assert response.headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert response.headers["server-timing"].startswith("db;dur=1, app;dur=")


async def test_hsts_is_told_on_https_only(log_output: LogOutput) -> None:
    secure = await get(make_app(), "https://test/")
    plain = await get(make_app(), "http://test/")

    assert "strict-transport-security" in secure.headers
    assert "strict-transport-security" not in plain.headers


async def test_each_part_can_be_changed(log_output: LogOutput) -> None:
    app = make_app(
        access_log=AccessLog(skip={"/"}), security_headers=SecurityHeaders(frame_options=None)
    )

    response = await get(app)

    assert log_output.access == []
    assert "x-frame-options" not in response.headers
    assert "x-process-time" not in response.headers


async def test_problem_types_and_further_errors_are_passed_on() -> None:
    class Out(AppError):  # noqa: N818
        type = "/out"

    class Errors:
        exceptions = (ValueError,)

        def __call__(self, error: Exception) -> AppError:
            return Out()

    app = make_app(problem_base_url="https://example.com", extra_errors=[Errors()])

    response = await get(app, "/failure")

    assert (response.status_code, response.json()["type"]) == (400, "https://example.com/out")


# Settings


async def test_settings_configure_logging(
    capsys: pytest.CaptureFixture[str], log_output: LogOutput
) -> None:
    app = make_app(settings_of(log_level="INFO", log_format="json"))

    response = await get(app)

    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(("own", "expected"), [(None, 5), (8, 8), (0, 0)])
def test_settings_limit_bodies_where_the_app_does_not(
    log_output: LogOutput, own: int | None, expected: int
) -> None:
    app = FastAPI(max_body_size=own)

    setup_app(app, settings_of(max_body_size=5))

    assert app.max_body_size == expected


async def test_a_body_over_the_settings_limit_is_refused(log_output: LogOutput) -> None:
    async with client_of(make_app(settings_of(max_body_size=5))) as client:
        fits = await client.post("/body", content=b"x" * 5)
        exceeds = await client.post("/body", content=b"x" * 6)

    assert fits.json() == 5
    assert exceeds.status_code == 413


@pytest.mark.parametrize(
    ("cors", "allowed"),
    [(None, ORIGIN), (Cors(allow_origins=["https://b.example.com"]), None)],
)
async def test_settings_name_origins_unless_arguments_do(
    log_output: LogOutput, cors: Cors | None, allowed: str | None
) -> None:
    app = make_app(settings_of(cors_origins=[ORIGIN]), cors=cors)

    response = await get(app, headers={"Origin": ORIGIN})

    assert response.headers.get("access-control-allow-origin") == allowed


async def test_scripts_may_read_our_headers() -> None:
    app = make_app(cors=Cors(allow_origins=[ORIGIN], allow_credentials=True))

    response = await get(app, headers={"Origin": ORIGIN})

    assert response.headers["access-control-allow-credentials"] == "true"
    exposed = response.headers["access-control-expose-headers"]
    assert {"X-Request-ID", "Server-Timing", "Link", "Retry-After"} <= set(exposed.split(", "))


async def test_without_settings_logging_is_left_alone(log_output: LogOutput) -> None:
    import logging

    before = logging.getLogger().handlers[:]

    await get(make_app())

    assert logging.getLogger().handlers == before


async def test_settings_tell_the_root_path(log_output: LogOutput) -> None:
    app = make_app(settings_of(root_path="/api"))
    configure_logging(stream=log_output.stream)

    response = await get(app, "/api/conflict")

    [line] = log_output.access
    assert (line["url.path"], line["http.route"]) == ("/conflict", "/conflict")
    assert response.json()["instance"] == "/api/conflict"


# Misuse


def refuses_to_start(app: FastAPI, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message), TestClient(app):
        raise AssertionError("started")  # pragma: no cover


def test_set_up_twice_is_refused() -> None:
    app = make_app()

    with pytest.raises(
        ConfigurationError, match="setup_app was called twice for 'FastAPI'; call it"
    ):
        setup_app(app)


def test_set_up_after_the_start_is_refused() -> None:
    app = FastAPI()
    with TestClient(app):
        pass

    with pytest.raises(ConfigurationError, match="after its start; call it where the app is made"):
        setup_app(app)


def test_error_handlers_beside_it_are_refused() -> None:
    app = FastAPI()
    add_error_handlers(app)

    with pytest.raises(ConfigurationError, match=r"called twice .* \(setup_app calls it for you\)"):
        setup_app(app)


@pytest.mark.parametrize(
    "middleware",
    [RequestIdMiddleware, AccessLogMiddleware, TimingMiddleware, SecurityHeadersMiddleware],
)
def test_one_of_its_middlewares_beside_it_stops_the_start(middleware: Any) -> None:
    app = make_app()
    app.add_middleware(middleware)

    refuses_to_start(app, f"{middleware.__name__} was added to 'FastAPI', which setup_app gives")


@pytest.mark.parametrize(
    ("middleware", "message"),
    [
        (RequestIdMiddleware, "AccessLogMiddleware is outside of RequestIdMiddleware"),
        (TimingMiddleware, "TimingMiddleware is in the middleware stack twice"),
        (SecurityHeadersMiddleware, "SecurityHeadersMiddleware is in the middleware stack twice"),
    ],
)
def test_a_subclass_of_its_middlewares_stops_the_start(middleware: Any, message: str) -> None:
    subclass: Any = type("Subclass", (middleware,), {})
    app = make_app()
    app.add_middleware(subclass)

    refuses_to_start(app, message)


def test_what_it_is_told_to_leave_out_may_be_added() -> None:
    app = make_app(server_timing=False)
    app.add_middleware(TimingMiddleware)

    assert "server-timing" in TestClient(app).get("/").headers


@pytest.mark.parametrize("add", ["before", "after"])
def test_a_second_cors_is_refused(add: str) -> None:
    app = FastAPI()
    cors = Cors(allow_origins=[ORIGIN])
    if add == "before":
        app.add_middleware(CORSMiddleware)
        with pytest.raises(ConfigurationError, match="CORSMiddleware was added to"):
            setup_app(app, cors=cors)
    else:
        setup_app(app, cors=cors)
        app.add_middleware(CORSMiddleware)
        refuses_to_start(app, "CORSMiddleware was added to 'FastAPI', which")


def test_an_apps_own_cors_alone_is_fine() -> None:
    app = make_app()
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN])

    response = TestClient(app).get("/", headers={"Origin": ORIGIN})

    assert response.headers["access-control-allow-origin"] == ORIGIN


def test_process_time_without_timing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="process_time=True needs server_timing=True"):
        setup_app(FastAPI(), process_time=True, server_timing=False)


def test_origins_must_be_a_sequence() -> None:
    with pytest.raises(ConfigurationError, match=r"such as \['https://a.example'\]"):
        Cors(allow_origins="https://a.example")


def test_every_origin_with_credentials_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="name the origins"):
        Cors(allow_origins=["*"], allow_credentials=True)


def test_what_is_refused_changes_nothing() -> None:
    app = FastAPI()
    with pytest.raises(ConfigurationError):
        setup_app(app, process_time=True, server_timing=False)

    setup_app(app)

    assert TestClient(app).get("/openapi.json").status_code == 200


# A mounted app


async def test_a_mounted_app_that_is_set_up_shares_id_and_line(log_output: LogOutput) -> None:
    app, inner = make_app(), make_app()
    app.mount("/sub", inner)

    response = await get(app, "/sub/conflict")

    [line] = log_output.access
    assert line["http.route"] == "/sub/conflict"
    assert response.headers.get_list("x-request-id") == [line["request_id"]]
    assert response.json()["request_id"] == line["request_id"]


# Under uvicorn

SERVED = """
    import sys
    from fastapi import FastAPI, WebSocket
    from fastapi.responses import StreamingResponse
    from fastapi_kit.app import setup_app
    from fastapi_kit.middleware import RequestIdMiddleware
    from fastapi_kit.settings import AppSettings

    app = FastAPI()

    @app.get("/")
    async def read():
        return "read"

    @app.get("/failure")
    async def failure():
        raise ValueError("why")

    @app.get("/breaks")
    async def breaks():
        async def body():
            yield b"begun"
            raise ValueError("why")
        return StreamingResponse(body())

    @app.websocket("/socket")
    async def socket(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.receive_text()

    @app.websocket("/broken")
    async def broken(websocket: WebSocket):
        raise ValueError("why")

    setup_app(app, AppSettings.for_tests(log_level="INFO", log_format="json"))
"""


class Served:
    """A process of uvicorn's, and what it wrote once it has ended."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url, self.process = url, process
        self.output = ""

    def stop(self) -> None:
        self.process.terminate()
        self.output = self.process.communicate(timeout=20)[0]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines()]


@contextmanager
def served(folder: Path, code: str) -> Iterator[Served]:
    (folder / "served.py").write_text(textwrap.dedent(code))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "served:app", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        server = Served(f"http://127.0.0.1:{port}", process)
        try:
            yield server
        finally:
            process.kill()


def wait_until_it_answers(server: Served) -> None:
    for _ in range(200):
        try:
            httpx.get(server.url + "/openapi.json")
        except httpx.TransportError:
            if server.process.poll() is not None:  # pragma: no cover
                break
            time.sleep(0.1)
        else:
            return
    pytest.fail(server.process.communicate()[0])  # pragma: no cover


def test_under_uvicorn_each_request_has_one_line_and_each_failure_one_traceback(
    tmp_path: Path,
) -> None:
    with served(tmp_path, SERVED) as server:
        wait_until_it_answers(server)
        assert httpx.get(server.url + "/?token=s3cr3t").json() == "read"
        failure = httpx.get(server.url + "/failure")
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(server.url + "/breaks")
        with connect(server.url.replace("http", "ws") + "/socket?token=s3cr3t") as websocket:
            assert websocket.recv() == "hello"
        with pytest.raises(Exception, match="500"):
            connect(server.url.replace("http", "ws") + "/broken")
        with pytest.raises(Exception, match="404"):
            connect(server.url.replace("http", "ws") + "/nowhere")
        server.stop()

    assert failure.status_code == 500
    assert failure.json()["request_id"] == failure.headers["x-request-id"]
    lines = server.lines()
    access = [line for line in lines if line["logger"] == "fastapi_kit.access"]
    assert [
        (line["url.path"], line["http.response.status_code"])
        for line in access
        if line["url.path"] != "/openapi.json"
    ] == [("/", 200), ("/failure", 500), ("/breaks", 200), ("/socket", 101), ("/broken", 500),
          ("/nowhere", 404)]  # fmt: skip
    assert [line["message"] for line in lines if line["level"] == "ERROR"] == [
        "Unhandled ValueError"
    ] * 3
    assert server.output.count("Traceback (most recent call last)") == 3
    assert "s3cr3t" not in server.output
    assert not [line for line in lines if ' - "' in line["message"]]  # uvicorn's own access lines


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("app.add_middleware(RequestIdMiddleware)", "RequestIdMiddleware was added to"),
        ("setup_app(app)", "setup_app was called twice"),
    ],
)
def test_under_uvicorn_a_mistake_stops_the_start_and_is_named(
    tmp_path: Path, mistake: str, message: str
) -> None:
    with served(tmp_path, f"{textwrap.dedent(SERVED)}\n{mistake}\n") as server:
        output = server.process.communicate(timeout=30)[0]

    assert server.process.returncode != 0
    assert message in output


# Beside FastAPI's own


async def test_the_access_line_carries_the_ids_of_fastapis_span(log_output: LogOutput) -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(0xABC, 0xDEF, is_remote=False))

    class Tracer(trace.Tracer):
        def start_span(self, *args: Any, **options: Any) -> trace.Span:
            return span

        start_as_current_span: Any = None  # FastAPI does not use it

    class Provider(trace.TracerProvider):
        def get_tracer(self, *args: Any, **options: Any) -> trace.Tracer:
            return Tracer()

    telemetry: Any = {"tracer_provider": Provider(), "metrics": False, "logs": False}
    app = FastAPI(telemetry=telemetry)
    setup_app(app)

    await get(app)

    [line] = log_output.access
    assert (line["trace_id"], line["span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")


async def test_server_sent_events_pass_one_by_one(log_output: LogOutput) -> None:
    app = FastAPI()

    @app.get("/", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[int]:
        yield 1
        yield 2

    setup_app(app)

    sent = [
        message["body"]
        for message in await exchange(app, client=None, asgi={"spec_version": "2.4"})
        if message["type"] == "http.response.body"
    ]

    assert sent[:2] == [b"data: 1\n\n", b"data: 2\n\n"]
    [line] = log_output.access
    assert "error.type" not in line
