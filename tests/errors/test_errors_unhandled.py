"""Exceptions that nobody handles: a 500 that tells nothing, logged once, raised again."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_kit.errors import (
    AppError,
    ConfigurationError,
    ConflictError,
    UnauthorizedError,
    add_error_handlers,
)
from fastapi_kit.logs import add_log_fields
from fastapi_kit.middleware import AccessLogMiddleware, RequestIdMiddleware
from tests.logs.capture import LogOutput, get

SECRET = "s3cr3t"
ORIGIN = {"Origin": "https://app.example.com"}


class OutOfPaper(Exception):  # noqa: N818
    pass


class PaperErrors:
    """Maps one foreign exception, unless it says otherwise."""

    exceptions = (OutOfPaper,)

    def __call__(self, error: Exception) -> AppError | None:
        return None if error.args else ConflictError("No paper.")


class Failing:
    """A middleware that raises, before or after calling further in."""

    def __init__(self, app: ASGIApp, *, error: BaseException, after: bool = False) -> None:
        self.app, self.error, self.after = app, error, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.after:
            await self.app(scope, receive, send)
        raise self.error


def app_raising(error: BaseException, **options: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def read() -> None:
        add_log_fields(order=7)
        raise error

    @app.get("/fine")
    async def fine() -> str:
        return "fine"

    add_error_handlers(app, **options)
    return app


def with_ids(app: FastAPI) -> FastAPI:
    app.add_middleware(AccessLogMiddleware)
    app.add_middleware(RequestIdMiddleware)
    return app


def assert_is_500(response: httpx.Response) -> None:
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    body.pop("request_id", None)
    assert body == {"type": "about:blank", "title": "Internal Server Error", "status": 500}


async def test_a_500_tells_nothing_but_the_id(log_output: LogOutput) -> None:
    response = await get(with_ids(app_raising(ValueError(SECRET))), f"/?q={SECRET}")

    assert_is_500(response)
    assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_it_is_logged_once_with_the_requests_fields(log_output: LogOutput) -> None:
    response = await get(with_ids(app_raising(ValueError("why"))))

    [line] = log_output.errors
    assert line["logger"] == "fastapi_kit.errors"
    assert line["message"] == "Unhandled ValueError"
    assert line["exception.type"] == "ValueError"
    assert "ValueError: why" in line["exception.stacktrace"]
    assert line["request_id"] == response.headers["x-request-id"]
    assert line["order"] == 7


async def test_it_is_raised_again() -> None:
    error = ValueError("why")
    transport = httpx.ASGITransport(app_raising(error))

    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(ValueError, match="why") as raised:
            await client.get("/")

    assert raised.value is error


async def test_an_exception_kept_as_a_constant_is_logged_each_time(log_output: LogOutput) -> None:
    app = app_raising(ValueError())

    for _ in range(3):
        await get(app)

    assert len(log_output.errors) == 3


async def test_the_access_line_names_the_exception(log_output: LogOutput) -> None:
    await get(with_ids(app_raising(ValueError())))

    [line] = log_output.access
    assert line["error.type"] == "ValueError"
    assert line["http.response.status_code"] == 500


async def test_an_exception_group_is_logged_as_one(log_output: LogOutput) -> None:
    response = await get(app_raising(ExceptionGroup("two", [ValueError("a"), KeyError("b")])))

    assert_is_500(response)
    [line] = log_output.errors
    assert line["exception.type"] == "ExceptionGroup"
    assert "ValueError: a" in line["exception.stacktrace"]


async def test_an_exception_that_refuses_attributes_is_logged(log_output: LogOutput) -> None:
    class Stubborn(Exception):  # noqa: N818
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

        def __str__(self) -> str:
            raise ValueError("never")

    assert_is_500(await get(app_raising(Stubborn())))

    assert len(log_output.errors) == 1


@pytest.mark.parametrize("first", ["cors", "handlers"])
async def test_a_500_passes_through_the_apps_own_cors(first: str) -> None:
    app = FastAPI()

    @app.get("/")
    async def read() -> None:
        raise ValueError(SECRET)

    if first == "handlers":
        add_error_handlers(app)
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN["Origin"]])
    if first == "cors":
        add_error_handlers(app)

    response = await get(app, headers=ORIGIN)

    assert_is_500(response)
    assert response.headers["access-control-allow-origin"] == ORIGIN["Origin"]


async def test_within_cors_it_is_logged_once_and_raised(log_output: LogOutput) -> None:
    app = with_ids(app_raising(ValueError()))
    app.add_middleware(CORSMiddleware, allow_origins=["*"])

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(ValueError):  # noqa: PT011  # as it is
            await client.get("/", headers=ORIGIN)

    assert len(log_output.errors) == 1


async def test_every_500_within_base_http_middlewares_is_logged_once(
    log_output: LogOutput,
) -> None:
    app = app_raising(ValueError("why"))

    @app.middleware("http")
    async def first(request: Request, call_next: Callable[..., Any]) -> Any:
        add_log_fields(seen=1)
        return await call_next(request)

    @app.middleware("http")
    async def second(request: Request, call_next: Callable[..., Any]) -> Any:
        return await call_next(request)

    response = await get(with_ids(app))

    assert_is_500(response)
    [line] = log_output.errors
    assert line["order"] == 7
    assert line["seen"] == 1
    [access] = log_output.access
    assert access["request_id"] == line["request_id"] == response.headers["x-request-id"]


async def test_an_exception_in_a_middleware_is_a_500(log_output: LogOutput) -> None:
    app = app_raising(KeyError())
    app.add_middleware(Failing, error=ValueError(SECRET))

    assert_is_500(await get(app, "/fine"))

    [line] = log_output.errors
    assert line["exception.type"] == "ValueError"


@pytest.mark.parametrize("cors", [False, True], ids=["bare", "within cors"])
async def test_an_http_exception_in_a_middleware_is_answered_as_elsewhere(
    log_output: LogOutput, cors: bool
) -> None:
    app = app_raising(KeyError())
    app.add_middleware(Failing, error=UnauthorizedError("Who are you?"))
    app.add_middleware(RequestIdMiddleware)
    if cors:
        app.add_middleware(CORSMiddleware, allow_origins=["*"])

    transport = httpx.ASGITransport(app)  # raises what the app raises
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/fine", headers=ORIGIN)

    assert response.status_code == 401
    assert response.json()["detail"] == "Who are you?"
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["x-request-id"] == response.json()["request_id"]
    assert ("access-control-allow-origin" in response.headers) is cors
    assert log_output.errors == []


async def test_an_http_exception_in_a_base_http_middleware_is_answered_too() -> None:
    app = app_raising(KeyError())

    async def refuse(request: Request, call_next: Callable[..., Any]) -> Any:
        raise HTTPException(403, "Not here.")

    app.add_middleware(BaseHTTPMiddleware, dispatch=refuse)

    response = await get(app, "/fine")

    assert response.status_code == 403
    assert response.json()["detail"] == "Not here."


async def test_an_http_exception_after_the_answer_began_is_raised() -> None:
    app = app_raising(KeyError())
    app.add_middleware(Failing, error=ConflictError(), after=True)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(ConflictError):
            await client.get("/fine")


@pytest.mark.parametrize("where", ["endpoint", "middleware"])
async def test_a_mapped_exception_gets_its_problem(log_output: LogOutput, where: str) -> None:
    app = app_raising(OutOfPaper(), extra=[PaperErrors()])
    if where == "middleware":
        app.add_middleware(Failing, error=OutOfPaper())

    response = await get(app)

    assert response.status_code == 409
    assert response.json()["detail"] == "No paper."
    assert log_output.errors == []


@pytest.mark.parametrize("where", ["endpoint", "middleware"])
async def test_an_exception_that_the_map_does_not_know_is_a_500(
    log_output: LogOutput, where: str
) -> None:
    app = app_raising(OutOfPaper(SECRET), extra=[PaperErrors()])
    if where == "middleware":
        app.add_middleware(Failing, error=OutOfPaper(SECRET))

    assert_is_500(await get(app))

    [line] = log_output.errors
    assert line["message"] == "Unhandled OutOfPaper"


async def test_maps_are_asked_in_turn_until_one_knows() -> None:
    class Others(PaperErrors):
        exceptions = (ValueError,)  # type: ignore[assignment]

    app = app_raising(KeyError(), extra=[Others(), PaperErrors()])
    app.add_middleware(Failing, error=OutOfPaper())

    assert (await get(app)).status_code == 409


async def test_a_mapped_5xx_is_logged_with_its_cause(log_output: LogOutput) -> None:
    class Down:
        exceptions = (ConnectionError,)

        def __call__(self, error: Exception) -> AppError:
            return AppError("Try later.", status_code=503)

    response = await get(app_raising(ConnectionError("10.0.0.1"), extra=[Down()]))

    assert response.json()["detail"] == "Try later."
    [line] = log_output.errors
    assert "ConnectionError: 10.0.0.1" in line["exception.stacktrace"]


async def test_an_answer_that_breaks_off_is_logged_once_and_raised(log_output: LogOutput) -> None:
    app = FastAPI()

    async def body() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ValueError("why")

    @app.get("/")
    async def read() -> StreamingResponse:
        return StreamingResponse(body())

    add_error_handlers(app)
    with_ids(app)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(ValueError, match="why"):
            await client.get("/", headers=ORIGIN)

    assert len(log_output.errors) == 1
    [line] = log_output.access
    assert line["http.response.status_code"] == 200
    assert line["error.type"] == "ValueError"


async def test_an_http_exception_in_the_midst_of_an_answer_is_an_error(
    log_output: LogOutput,
) -> None:
    app = FastAPI()

    async def body() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ConflictError("too late")

    @app.get("/")
    async def read() -> StreamingResponse:
        return StreamingResponse(body())

    add_error_handlers(app)

    await get(app)

    [line] = log_output.errors
    assert line["exception.type"] == "RuntimeError"
    assert "too late" in line["exception.stacktrace"]


async def test_a_failing_background_task_is_logged_once(log_output: LogOutput) -> None:
    app = FastAPI()

    def fail() -> None:
        raise ValueError("why")

    @app.get("/")
    async def read(tasks: BackgroundTasks) -> str:
        tasks.add_task(fail)
        return "done"

    add_error_handlers(app)
    with_ids(app)

    response = await get(app)

    assert response.json() == "done"
    [line] = log_output.errors
    assert line["request_id"] == response.headers["x-request-id"]
    [access] = log_output.access
    assert "error.type" not in access


async def test_a_failing_dependency_is_logged_once_on_its_way_out(log_output: LogOutput) -> None:
    app = FastAPI()

    async def session() -> AsyncIterator[int]:
        yield 1
        raise ValueError("commit failed")

    @app.get("/", dependencies=[Depends(session, scope="function")])
    async def read() -> None: ...

    add_error_handlers(app)

    assert_is_500(await get(app))

    assert len(log_output.errors) == 1


async def test_an_answer_that_does_not_fit_its_model_is_a_500_without_it(
    log_output: LogOutput,
) -> None:
    app = FastAPI()

    @app.get("/")
    async def read() -> dict[str, int]:
        return {"password": SECRET}  # type: ignore[dict-item]

    add_error_handlers(app)

    assert_is_500(await get(app))

    [line] = log_output.errors
    assert line["exception.type"] == "ResponseValidationError"
    assert SECRET not in log_output.stream.getvalue()


async def test_a_client_that_has_gone_is_no_error(log_output: LogOutput) -> None:
    app = app_raising(ClientDisconnect())

    await get(app)

    assert log_output.errors == []


async def test_in_debug_mode_developers_see_the_traceback(log_output: LogOutput) -> None:
    app = FastAPI(debug=True)

    @app.get("/")
    async def read() -> None:
        raise ValueError("why")

    add_error_handlers(app)

    response = await get(app)

    assert response.status_code == 500
    assert "ValueError: why" in response.text


class WrappedApp(FastAPI):
    """An app that puts a layer of its own around Starlette's, as tools for tracing do."""

    def build_middleware_stack(self) -> ASGIApp:
        stack = super().build_middleware_stack()

        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            await stack(scope, receive, send)

        return wrapped


async def test_a_wrapped_stack_answers_a_500_too(log_output: LogOutput) -> None:
    app = WrappedApp()
    add_error_handlers(app)
    error = ValueError(SECRET)
    app.add_middleware(Failing, error=error)

    assert_is_500(await get(app))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(ValueError, match=SECRET) as raised:
            await client.get("/")

    assert raised.value is error
    assert len(log_output.errors) == 2


async def test_a_wrapped_stack_settles_what_a_middleware_raises(log_output: LogOutput) -> None:
    app = WrappedApp()
    add_error_handlers(app)
    app.add_middleware(Failing, error=UnauthorizedError())
    transport = httpx.ASGITransport(app)

    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/")  # and raises nothing

    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert log_output.errors == []


async def test_a_handler_of_ones_own_for_every_exception_is_kept(log_output: LogOutput) -> None:
    app = app_raising(ValueError("why"))
    app.add_exception_handler(Exception, lambda request, error: PlainTextResponse("sorry", 500))

    response = await get(app)

    assert (response.status_code, response.text) == (500, "sorry")
    assert log_output.errors == []


async def test_an_error_in_place_of_a_body_is_answered() -> None:
    """An answer that begins as Starlette's plain-text errors do has not gone out yet."""
    app = FastAPI()

    @app.get("/")
    async def read() -> StreamingResponse:
        async def nothing() -> AsyncIterator[bytes]:
            raise ValueError(SECRET)
            yield

        return StreamingResponse(nothing(), 400, media_type="text/plain")

    add_error_handlers(app)

    assert_is_500(await get(app))


def test_the_lifespan_passes_through() -> None:
    started: list[bool] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        started.append(True)
        yield

    app = FastAPI(lifespan=lifespan)
    add_error_handlers(app)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])

    with TestClient(app) as client:
        assert client.get("/").status_code == 404

    assert started == [True]


def test_a_middleware_that_is_set_wrongly_stops_the_start() -> None:
    """Servers take an app whose lifespan raises for one without, and would serve it all the same."""
    app = FastAPI()
    add_error_handlers(app)
    app.add_middleware(RequestIdMiddleware, header_name="not a name")

    with pytest.raises(ConfigurationError, match="is not a header name"):
        TestClient(app).__enter__()


async def test_an_included_router_is_covered() -> None:
    app, outer, inner = FastAPI(), APIRouter(prefix="/a"), APIRouter(prefix="/b")

    @inner.get("/c")
    async def read() -> None:
        raise ConflictError

    outer.include_router(inner)
    app.include_router(outer)
    add_error_handlers(app)

    response = await get(app, "/a/b/c")

    assert response.status_code == 409
    assert response.json()["instance"] == "/a/b/c"
