import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.types import ASGIApp

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.lifespan import Lifespan, compose, mounted


def part(
    log: list[str],
    name: str,
    state: Any = None,
    *,
    start: Exception | None = None,
    stop: Exception | None = None,
) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[Any, None]:
        log.append(f"+{name}")
        if start:
            raise start
        try:
            yield state
        finally:
            log.append(f"-{name}")
            if stop:
                raise stop

    lifespan.__qualname__ = name
    return lifespan


async def run(*lifespans: Lifespan) -> object:
    async with compose(*lifespans)(FastAPI()) as state:
        given: object = state
    return given


def echo_app(**options: Any) -> FastAPI:
    app = FastAPI(**options)

    @app.get("/")
    async def read(request: Request) -> dict[str, Any]:
        return dict(request.state._state)

    @app.websocket("/ws")
    async def read_socket(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json(dict(socket.state._state))
        await socket.close()

    return app


async def test_parts_start_in_order_and_unwind_in_reverse() -> None:
    log: list[str] = []

    await run(part(log, "a"), part(log, "b"), part(log, "c"))

    assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_state_is_merged() -> None:
    state = await run(part([], "a", {"one": 1}), part([], "b"), part([], "c", {"two": 2}))

    assert state == {"one": 1, "two": 2}


async def test_without_state_none_is_yielded_for_servers_that_know_no_state() -> None:
    assert await run(part([], "a"), part([], "b", {})) is None
    assert await run() is None


async def test_a_failing_start_unwinds_what_has_started() -> None:
    log: list[str] = []

    with pytest.raises(OSError, match="no port"):
        await run(part(log, "a"), part(log, "b", start=OSError("no port")), part(log, "c"))

    assert log == ["+a", "+b", "-a"]


async def test_a_failing_end_does_not_keep_the_others_from_ending() -> None:
    log: list[str] = []

    with pytest.raises(OSError, match="stuck"):
        await run(part(log, "a"), part(log, "b", stop=OSError("stuck")), part(log, "c"))

    assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_cancellation_unwinds_all() -> None:
    log: list[str] = []
    running = asyncio.Event()

    async def serve() -> None:
        async with compose(part(log, "a"), part(log, "b"))(FastAPI()):
            running.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(serve())
    await running.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["+a", "+b", "-b", "-a"]


async def test_a_key_given_twice_names_both_givers_and_unwinds() -> None:
    log: list[str] = []

    with pytest.raises(ConfigurationError, match="'db' is given by 'users' and by 'reports'"):
        await run(part(log, "users", {"db": 1}), part(log, "reports", {"db": 2}))

    assert log == ["+users", "+reports", "-reports", "-users"]


async def test_a_state_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'a' yielded int; yield a mapping"):
        await run(part([], "a", 7))


def test_composed_lifespans_compose_and_reach_requests_and_websockets() -> None:
    inner = compose(part([], "a", {"one": 1}))
    app = echo_app(lifespan=compose(inner, part([], "b", {"two": 2})))

    with TestClient(app) as client, client.websocket_connect("/ws") as socket:
        assert client.get("/").json() == {"one": 1, "two": 2}
        assert socket.receive_json() == {"one": 1, "two": 2}


def test_each_part_gets_the_app() -> None:
    seen: list[Any] = []

    class Spy:
        @asynccontextmanager
        async def __call__(self, app: Any) -> AsyncGenerator[None, None]:
            seen.append(app)
            yield

    app = FastAPI(lifespan=compose(Spy()))
    with TestClient(app):
        pass

    assert seen == [app]


async def bare_async(app: FastAPI) -> AsyncGenerator[None, None]:
    yield  # pragma: no cover  # refused before it runs


def bare_sync(app: FastAPI) -> Generator[None, None, None]:
    yield  # pragma: no cover  # refused before it runs


async def coroutine(app: FastAPI) -> None:
    """Refused before it runs."""


class BareCall:
    async def __call__(self, app: FastAPI) -> AsyncGenerator[None, None]:
        yield  # pragma: no cover  # refused before it runs


@pytest.mark.parametrize(
    ("lifespan", "message"),
    [
        (
            bare_async,
            "'bare_async' is a bare generator function; .* @contextlib.asynccontextmanager",
        ),
        (bare_sync, "'bare_sync' is a bare generator function"),
        (functools.partial(bare_async), "'partial' is a bare generator function"),
        (BareCall(), "'BareCall' is a bare generator function"),
        (coroutine, "'coroutine' is a coroutine function and never yields"),
        (part([], "a")(None), "is no function of the app; pass the function itself"),
        (None, "lifespan None is no function of the app"),
    ],
)
def test_what_is_no_lifespan_is_refused_when_the_app_is_built(lifespan: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        compose(lifespan)


class TestMounted:
    def test_without_it_a_mounted_lifespan_never_runs(self) -> None:
        """The trap that mounted() is for; when this fails, FastAPI has closed it."""
        log: list[str] = []
        outer = FastAPI(lifespan=compose())
        outer.mount("/inner", FastAPI(lifespan=part(log, "inner")))

        with TestClient(outer):
            assert log == []

    def test_it_runs_between_start_and_stop_of_the_outer_app(self) -> None:
        log: list[str] = []
        inner = FastAPI(lifespan=part(log, "inner"))
        outer = FastAPI(lifespan=compose(part(log, "outer"), mounted(inner)))
        outer.mount("/inner", inner)

        with TestClient(outer):
            assert log == ["+outer", "+inner"]
        assert log == ["+outer", "+inner", "-inner", "-outer"]

    def test_its_state_reaches_its_requests_and_no_others(self) -> None:
        inner = echo_app(lifespan=part([], "inner", {"db": "inner", "extra": 1}))
        outer = echo_app(
            lifespan=compose(part([], "outer", {"db": "outer", "o": 2}), mounted(inner))
        )
        outer.mount("/inner", inner)

        with TestClient(outer) as client:
            assert client.get("/inner/").json() == {"db": "inner", "extra": 1, "o": 2}
            assert client.get("/").json() == {"db": "outer", "o": 2}
            with client.websocket_connect("/inner/ws") as socket:
                assert socket.receive_json() == {"db": "inner", "extra": 1, "o": 2}

    def test_what_it_notes_on_the_request_stays_visible_outside(self) -> None:
        seen: list[object] = []
        inner = FastAPI()

        @inner.get("/")
        async def note(request: Request) -> None:
            request.state.user = "ada"

        def watch(app: ASGIApp) -> ASGIApp:
            async def watched(scope: Any, receive: Any, send: Any) -> None:
                await app(scope, receive, send)
                seen.append(scope.get("state", {}).get("user"))

            return watched

        outer = FastAPI(lifespan=compose(mounted(inner)))
        outer.add_middleware(watch)
        outer.mount("/inner", inner)

        with TestClient(outer) as client:
            client.get("/inner/")
        assert "ada" in seen

    def test_apps_mounted_on_mounted_apps_work(self) -> None:
        innermost = echo_app(lifespan=part([], "innermost", {"a": 1}))
        inner = echo_app(lifespan=compose(mounted(innermost)))
        outer = echo_app(lifespan=compose(mounted(inner)))
        inner.mount("/b", innermost)
        outer.mount("/a", inner)

        with TestClient(outer) as client:
            assert client.get("/a/b/").json() == {"a": 1}

    async def test_the_inner_app_still_works_alone(self) -> None:
        inner = echo_app()
        mounted(inner)

        transport = httpx.ASGITransport(inner)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.get("/")

        assert response.json() == {}
        with TestClient(inner) as sync_client:
            assert sync_client.get("/").json() == {}

    def test_starlette_apps_fit(self) -> None:
        log: list[str] = []
        inner = Starlette(lifespan=part(log, "inner"))

        with TestClient(FastAPI(lifespan=compose(mounted(inner)))):
            assert log == ["+inner"]

    def test_routers_are_refused_because_including_them_is_enough(self) -> None:
        with pytest.raises(
            ConfigurationError, match="got APIRouter; pass the FastAPI or Starlette"
        ):
            mounted(APIRouter())  # type: ignore[arg-type]

    async def test_after_the_first_request_it_is_refused(self) -> None:
        inner = echo_app()
        transport = httpx.ASGITransport(inner)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.get("/")

        with pytest.raises(ConfigurationError, match="came after the app's first request"):
            mounted(inner)


def test_handlers_of_on_event_are_ignored_beside_a_lifespan() -> None:
    """The trap that the docs warn of; when this fails, FastAPI has closed it."""
    log: list[str] = []
    app = FastAPI(lifespan=compose(part(log, "lifespan")))
    app.router.add_event_handler("startup", lambda: log.append("event"))

    with TestClient(app):
        pass

    assert log == ["+lifespan", "-lifespan"]
