"""An HTTP client for an app in the same process, with the app's lifespan run."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_kit.errors import MissingExtraError

try:
    import httpx
except ImportError as _error:
    raise MissingExtraError("fastapi_kit.testing", package="httpx", extra="testing") from _error


@asynccontextmanager
async def app_client(
    app: ASGIApp, *, base_url: str = "http://testserver", raise_app_exceptions: bool = True
) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client whose requests go straight into the app, started before and stopped after.

    The lifespan's state reaches each request, as it does under a server.
    Redirects are not followed, and a response is complete before it is given: to test streaming
    as it happens, or WebSockets, use Starlette's ``TestClient``.

    Args:
        app: Any ASGI app with a lifespan, wrapped in middleware or not.
        base_url: What paths are joined to. With ``https://`` the app sees a secure request.
        raise_app_exceptions: Whether an exception that the app lets through is raised in the test;
            ``False`` gives the 500 answer that a client would see.

    Raises:
        Exception: Whatever the app's lifespan raises on start or on stop.
    """
    async with _running(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": state.copy()}, receive, send)

        transport = httpx.ASGITransport(with_state, raise_app_exceptions=raise_app_exceptions)
        async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
            yield client


@asynccontextmanager
async def _running(app: ASGIApp) -> AsyncGenerator[dict[str, Any], None]:
    """The ASGI lifespan protocol, in a task of its own.

    Test fixtures may start and stop in different tasks, which task groups inside of a lifespan
    would not survive.
    """
    state: dict[str, Any] = {}
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    started = asyncio.Event()
    failures: list[str] = []

    async def send(message: Message) -> None:
        if message["type"].endswith(".failed"):
            failures.append(f"{message['type']}: {message.get('message', '')}")
        else:
            started.set()

    async def run() -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        await app({**scope, "state": state}, to_app.get, send)
        if failures or not started.is_set():
            raise RuntimeError(failures[0] if failures else "the app ended without having started")

    to_app.put_nowait({"type": "lifespan.startup"})
    task = asyncio.create_task(run())
    await _first_of(task, started)
    try:
        yield state
    finally:
        to_app.put_nowait({"type": "lifespan.shutdown"})
        await task


async def _first_of(task: asyncio.Task[None], started: asyncio.Event) -> None:
    """Wait until the app has started; raise what ends its task before that."""
    waiter = asyncio.create_task(started.wait())
    try:
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        task.cancel()
        raise
    finally:
        waiter.cancel()
    if not started.is_set():
        await task
