"""What the process would have written to its log, and a client that leaves errors to the app."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message

from fastapi_kit.logs import configure_logging

NAMES = (None, "uvicorn", "uvicorn.access", "uvicorn.error", "uvicorn.asgi", "fastapi_kit.access")


class LogOutput:
    """Lines of the JSON format, as objects."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def access(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["logger"] == "fastapi_kit.access"]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["level"] == "ERROR"]


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """A clean slate, and afterwards what logging was before."""
    loggers = [logging.getLogger(name) for name in NAMES]
    kept = [
        (log, log.level, log.handlers[:], log.filters[:], log.propagate, log.disabled)
        for log in loggers
    ]
    factory = logging.getLogRecordFactory()
    for log in loggers[1:]:  # the root logger's handlers are pytest's
        log.handlers.clear()
        log.filters.clear()
        log.propagate = True
    yield
    logging.setLogRecordFactory(factory)
    for log, level, handlers, filters, propagate, disabled in kept:
        log.setLevel(level)
        log.handlers[:], log.filters[:] = handlers, filters
        log.propagate, log.disabled = propagate, disabled


@pytest.fixture
def log_output(logging_restored: None) -> LogOutput:
    """What is logged during the test, in the JSON format."""
    output = LogOutput()
    configure_logging("DEBUG", stream=output.stream)
    for chatty in ("asyncio", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return output


class InATask(httpx.ASGITransport):
    """Calls the app in a task of its own, as servers do.

    Answers that are streamed cancel their own task's inner scopes, and CPython 3.11 stops tracing
    each frame that such a cancellation passes: the test's own, for coverage.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await asyncio.create_task(super().handle_async_request(request))


def client_of(app: ASGIApp, *, base_url: str = "http://test", **options: Any) -> httpx.AsyncClient:
    """A client that sees the answers to unhandled exceptions, as those over a network do."""
    transport = InATask(app, raise_app_exceptions=False, **options)
    return httpx.AsyncClient(transport=transport, base_url=base_url)


async def get(app: ASGIApp, path: str = "/", **options: Any) -> httpx.Response:
    """The answer to one GET."""
    async with client_of(app) as client:
        return await client.get(path, **options)


async def exchange(app: ASGIApp, *received: Message, **scope: Any) -> list[Message]:
    """What an app sends when it is called as a server would, without a client's manners."""
    waiting = list(received)
    sent: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    http = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    call = app({**http, "root_path": "", **scope}, receive, send)
    await asyncio.ensure_future(call)
    return sent
