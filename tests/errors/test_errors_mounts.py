"""Apps within apps, and add_error_handlers in the wrong place or number."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from fastapi_kit.errors import ConfigurationError, ConflictError, add_error_handlers
from fastapi_kit.middleware import AccessLogMiddleware, RequestIdMiddleware
from tests.logs.capture import LogOutput, client_of, get


def parent() -> FastAPI:
    app = FastAPI(title="parent")
    add_error_handlers(app)
    app.add_middleware(AccessLogMiddleware)
    app.add_middleware(RequestIdMiddleware)
    return app


def child(*, with_handlers: bool = True) -> FastAPI:
    app = FastAPI(title="child")

    @app.get("/conflict")
    async def conflict() -> None:
        raise ConflictError

    @app.get("/failure")
    async def failure() -> None:
        raise ValueError("why")

    if with_handlers:
        add_error_handlers(app)
    return app


@pytest.mark.parametrize(
    ("mount", "path"),
    [
        (lambda app, inner: app.mount("/sub", inner), "'/sub'"),
        (lambda app, inner: app.mount("/a", Router([Mount("/b", inner)])), "'/a/b'"),
        (lambda app, inner: app.host("sub.test", inner), "''"),
        (
            lambda app, inner: app.router.routes.append(
                Mount("/sub", inner, middleware=[Middleware(GZipMiddleware)])
            ),
            "'/sub'",
        ),
    ],
    ids=["mounted", "deeper", "host", "with middleware"],
)
async def test_a_mounted_app_without_handlers_is_warned_of_at_the_start(
    mount: Any, path: str
) -> None:
    app = parent()
    mount(app, child(with_handlers=False))

    with pytest.warns(UserWarning, match=f"'child' mounted at {path} answers errors"):
        await get(app)


async def test_a_mounted_app_with_handlers_is_not_warned_of() -> None:
    app = parent()
    app.mount("/sub", child())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        response = await get(app, "/sub/conflict")

    assert response.status_code == 409


async def test_a_mounted_app_shares_the_id_and_the_access_line(log_output: LogOutput) -> None:
    app, inner = parent(), child()
    inner.add_middleware(AccessLogMiddleware)
    inner.add_middleware(RequestIdMiddleware)
    app.mount("/sub", inner)

    response = await get(app, "/sub/conflict")

    [line] = log_output.access
    assert line["http.route"] == "/sub/conflict"
    assert line["request_id"] == response.json()["request_id"]
    assert response.headers.get_list("x-request-id") == [line["request_id"]]
    assert response.json()["instance"] == "/sub/conflict"


async def test_an_unhandled_exception_in_a_mounted_app_is_logged_once(
    log_output: LogOutput,
) -> None:
    app = parent()
    app.mount("/sub", child())

    response = await get(app, "/sub/failure")

    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert len(log_output.errors) == 1


async def test_an_unhandled_exception_in_one_without_handlers_is_logged_by_the_parent(
    log_output: LogOutput,
) -> None:
    app = parent()
    app.mount("/sub", child(with_handlers=False))

    with pytest.warns(UserWarning, match="'child'"):
        response = await get(app, "/sub/failure")

    assert response.status_code == 500
    assert len(log_output.errors) == 1


@pytest.mark.parametrize("path", ["/sub/nowhere", "/router/nowhere", "/star/nowhere", "/nowhere"])
async def test_an_unknown_path_is_a_problem_in_any_mount(path: str) -> None:
    app = parent()
    app.mount("/sub", child())
    app.mount("/router", Router())
    app.mount("/star", add_to(Starlette()))

    response = await get(app, path)

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["instance"] == path


def add_to(app: Starlette) -> Router:
    """A Starlette app's routes; mounted whole, it answers by its own handlers as a FastAPI does."""
    return app.router


async def test_static_files_answer_problems(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    app = parent()
    app.mount("/static", StaticFiles(directory=tmp_path))

    assert (await get(app, "/static/a.txt")).text == "text"
    missing = await get(app, "/static/b.txt")
    async with client_of(app) as client:
        posted = await client.post("/static/a.txt")

    assert (missing.status_code, missing.json()["title"]) == (404, "Not Found")
    assert (posted.status_code, posted.json()["title"]) == (405, "Method Not Allowed")


async def test_host_routes_are_covered() -> None:
    async def fail(request: Request) -> PlainTextResponse:
        raise ConflictError

    app = parent()
    app.router.routes.append(Host("api.test", Router([Route("/", fail)])))

    async with client_of(app, base_url="http://api.test") as client:
        response = await client.get("/")

    assert response.status_code == 409
    assert response.json()["title"] == "Conflict"


async def test_a_mounted_app_behind_a_proxy_names_the_whole_path() -> None:
    app = parent()
    app.mount("/sub", child())

    async with client_of(app, root_path="/api") as client:
        response = await client.get("/api/sub/conflict")

    assert response.json()["instance"] == "/api/sub/conflict"


def test_handlers_twice_are_refused() -> None:
    app = child()

    with pytest.raises(ConfigurationError, match="called twice for 'child'; call it once"):
        add_error_handlers(app)


def test_handlers_after_the_start_are_refused() -> None:
    app = child(with_handlers=False)
    with TestClient(app):
        pass

    with pytest.raises(ConfigurationError, match="after its start; call it where"):
        add_error_handlers(app)


def test_a_middleware_in_the_wrong_place_stops_the_start() -> None:
    app = child()
    app.add_middleware(RequestIdMiddleware)
    app.add_middleware(AccessLogMiddleware)

    with pytest.raises(ConfigurationError, match="outside of RequestIdMiddleware"), TestClient(app):
        raise AssertionError("started")  # pragma: no cover


async def test_a_middleware_in_the_wrong_place_fails_every_request() -> None:
    app = child()
    app.add_middleware(RequestIdMiddleware)
    app.add_middleware(RequestIdMiddleware)

    async with client_of(app) as client:
        response = await client.get("/conflict")

    assert response.status_code == 500
