"""Timing and security headers: what is added, where, and what stays."""

import re
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.middleware import (
    SecurityHeaders,
    SecurityHeadersMiddleware,
    TimingMiddleware,
)
from tests.logs.capture import client_of, exchange, get

API_POLICY = "default-src 'none'; frame-ancestors 'none'"


def make_app(middleware: Any, **options: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def read() -> str:
        return "read"

    @app.get("/page")
    async def page() -> HTMLResponse:
        return HTMLResponse("<p>")

    @app.get("/own")
    async def own() -> PlainTextResponse:
        headers = {"Server-Timing": "db;dur=1", "X-Frame-Options": "SAMEORIGIN"}
        return PlainTextResponse("own", headers=headers)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a", b"b"]))

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")

    app.add_middleware(middleware, **options)
    return app


async def test_the_time_is_told_in_milliseconds() -> None:
    response = await get(make_app(TimingMiddleware))

    assert re.fullmatch(r"app;dur=\d+\.\d\d", response.headers["server-timing"])
    assert "x-process-time" not in response.headers


async def test_the_apps_own_timings_stay() -> None:
    response = await get(make_app(TimingMiddleware), "/own")

    own, ours = response.headers.get_list("server-timing")
    assert own == "db;dur=1"
    assert ours.startswith("app;dur=")


async def test_the_time_is_told_in_seconds_where_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([10.0, 12.5])
    monkeypatch.setattr("fastapi_kit.middleware.timing.perf_counter", lambda: next(clock))

    response = await get(make_app(TimingMiddleware, process_time=True))

    assert response.headers["server-timing"] == "app;dur=2500.00"
    assert response.headers["x-process-time"] == "2.500000"


async def test_a_stream_is_timed_to_its_first_byte() -> None:
    response = await get(make_app(TimingMiddleware), "/stream")

    assert response.text == "ab"
    assert len(response.headers.get_list("server-timing")) == 1


@pytest.mark.parametrize("middleware", [TimingMiddleware, SecurityHeadersMiddleware])
def test_a_websocket_is_left_alone(middleware: Any) -> None:
    with TestClient(make_app(middleware)).websocket_connect("/socket") as websocket:
        assert websocket.receive_text() == "hello"
        assert websocket.extra_headers == []


@pytest.mark.parametrize("middleware", [TimingMiddleware, SecurityHeadersMiddleware])
async def test_an_answer_without_headers_gets_them(middleware: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    sent = await exchange(middleware(app))

    assert sent[0]["headers"]


@pytest.mark.parametrize("middleware", [TimingMiddleware, SecurityHeadersMiddleware])
def test_two_in_one_stack_are_refused(middleware: Any) -> None:
    with (
        pytest.raises(ConfigurationError, match=f"{middleware.__name__} is in the middleware"),
        TestClient(middleware(middleware(FastAPI()))),
    ):
        raise AssertionError("started")  # pragma: no cover


async def test_an_answer_of_an_api_may_load_nothing() -> None:
    response = await get(make_app(SecurityHeadersMiddleware))

    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["content-security-policy"] == API_POLICY
    assert "strict-transport-security" not in response.headers


@pytest.mark.parametrize("path", ["/page", "/docs", "/redoc"])
async def test_a_page_may_load_what_it_likes_but_not_be_framed(path: str) -> None:
    response = await get(make_app(SecurityHeadersMiddleware), path)

    assert response.status_code == 200
    assert response.headers["content-security-policy"] == "frame-ancestors 'none'"


async def test_a_header_that_is_there_stays() -> None:
    response = await get(make_app(SecurityHeadersMiddleware), "/own")

    assert response.headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert response.headers["content-security-policy"] == API_POLICY


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "max-age=31536000"),
        ({"hsts_include_subdomains": True}, "max-age=31536000; includeSubDomains"),
        ({"hsts_max_age_seconds": 0}, "max-age=0"),
        ({"hsts_max_age_seconds": None}, None),
    ],
)
async def test_transport_security_is_told_on_https(
    options: dict[str, Any], expected: str | None
) -> None:
    app = make_app(SecurityHeadersMiddleware, headers=SecurityHeaders(**options))

    async with client_of(app, base_url="https://test") as client:
        response = await client.get("/")

    assert response.headers.get("strict-transport-security") == expected


@pytest.mark.parametrize(
    ("name", "header", "path"),
    [
        ("content_security_policy", "content-security-policy", "/"),
        ("html_content_security_policy", "content-security-policy", "/page"),
        ("frame_options", "x-frame-options", "/"),
        ("referrer_policy", "referrer-policy", "/"),
    ],
)
@pytest.mark.parametrize("value", [None, "other"])
async def test_each_header_can_be_changed_or_left_out(
    name: str, header: str, path: str, value: str | None
) -> None:
    app = make_app(SecurityHeadersMiddleware, headers=SecurityHeaders(**{name: value}))  # type: ignore[arg-type]

    response = await get(app, path)

    assert response.headers.get(header) == value


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "é", "a\x00"])
@pytest.mark.parametrize(
    "name",
    ["content_security_policy", "html_content_security_policy", "frame_options", "referrer_policy"],
)
def test_a_value_that_is_no_header_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot stand in the header"):
        SecurityHeaders(**{name: value})  # type: ignore[arg-type]


def test_a_negative_age_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="hsts_max_age_seconds=-1 is negative; use None"):
        SecurityHeaders(hsts_max_age_seconds=-1)
