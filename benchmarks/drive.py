"""Drives apps or plain functions by turns and prints their times: started by `benchmarks.contest`."""

import asyncio
import gc
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from pkgutil import resolve_name
from time import perf_counter, process_time
from typing import Any, Protocol

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from benchmarks.output import count_lines, discard_output, hide, send_output_to

REFUSALS = (401, 403, 422)  # the last is authx's, for a token that does not hold
CHECKED = 5  # requests whose answer and log lines are looked at
HEADERS = [
    (b"host", b"127.0.0.1"),
    (b"user-agent", b"benchmarks"),
    (b"accept", b"*/*"),
]
CLOCKS: Mapping[str, Callable[[], float]] = {"cpu": process_time, "wall": perf_counter}

RawHeaders = Sequence[tuple[bytes, bytes]]


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(_: Message) -> None:
    """A client that takes everything."""


class Driven(Protocol):
    """What can be done again and again."""

    async def repeat(self, times: int) -> None: ...

    async def check(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Client:
    """Sends one request to one app, again and again.

    The app may say in its ``state`` what its requests carry: ``headers``, and ``refused``, sets of
    headers of which each must be refused. An app that lets everyone through would
    look cheap.
    """

    app: FastAPI
    method: str
    path: str
    query: str
    state: Mapping[str, Any]
    lines: int
    items: int | None

    def scope(self, headers: RawHeaders) -> Scope:
        # All of it anew: middlewares write to the scope, its state and its headers.
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query.encode(),
            "root_path": "",
            "headers": [*HEADERS, *headers],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
            "state": dict(self.state),
        }

    @property
    def headers(self) -> RawHeaders:
        headers: RawHeaders = getattr(self.app.state, "headers", ())
        return headers

    async def request(
        self, headers: RawHeaders, receive: Receive = receive, send: Send = send
    ) -> None:
        await self.app(self.scope(headers), receive, send)

    async def answer(self, headers: RawHeaders) -> tuple[int, bytes]:
        """The status and the body."""
        statuses: list[int] = []
        body = bytearray()

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            else:
                body.extend(message.get("body", b""))

        await self.request(headers, send=note)
        return statuses[0], bytes(body)

    async def repeat(self, times: int) -> None:
        headers = self.headers
        for _ in range(times):
            await self.request(headers)

    async def check(self) -> None:
        """Make sure that what is measured works.

        Raises:
            RuntimeError: An answer is not 200 or not as long as it should be, the app writes more or
                fewer log lines, or lets someone through whom it must refuse.
        """
        with tempfile.TemporaryFile() as file:
            send_output_to(file)
            answers = [await self.answer(self.headers) for _ in range(CHECKED)]
            discard_output()
            written = count_lines(file)
        statuses = [status for status, _ in answers]
        if statuses != [200] * CHECKED:
            raise RuntimeError(f"{self.method} {self.path} was answered by {statuses}, not by 200")
        if written != self.lines * CHECKED:
            raise RuntimeError(
                f"{CHECKED} requests wrote {written} log lines instead of {self.lines * CHECKED}"
            )
        if self.items is not None and (got := len(items_of(answers[0][1]))) != self.items:
            raise RuntimeError(f"{self.path}?{self.query} gave {got} items, not {self.items}")
        for headers in getattr(self.app.state, "refused", ()):
            status, _ = await self.answer(headers)
            if status not in REFUSALS:
                raise RuntimeError(f"a request to be refused was answered by {status}")


def items_of(body: bytes) -> list[Any]:
    """The items of a page."""
    items: list[Any] = json.loads(body)["items"]
    return items


@dataclass(frozen=True, kw_only=True)
class Work:
    """Calls one function, again and again."""

    function: Callable[[], Any]

    async def repeat(self, times: int) -> None:
        function = self.function
        if inspect.iscoroutinefunction(function):
            for _ in range(times):
                await function()
        else:
            for _ in range(times):
                function()

    async def check(self) -> None:
        """Raises what the function raises."""
        await self.repeat(1)


async def driven(wanted: Mapping[str, Any], stack: AsyncExitStack) -> Driven:
    """What an order names, with its lifespan running.

    The named function gives an app; or what is to be called, also by an async context manager.
    """
    made = resolve_name(wanted["make"])()
    if isinstance(made, AbstractAsyncContextManager):
        made = await stack.enter_async_context(made)
    if not isinstance(made, FastAPI):
        return Work(function=made)
    state = await stack.enter_async_context(made.router.lifespan_context(made))
    path, _, query = wanted["path"].partition("?")

    def client(query: str) -> Client:
        return Client(
            app=made,
            method=wanted["method"],
            path=path,
            query=query,
            state=state or {},
            lines=wanted["lines"],
            items=wanted["items"],
        )

    if wanted["cursor_in"] is None:
        return client(query)
    _, body = await client(query).answer(getattr(made.state, "headers", ()))
    return client(f"{query}&cursor={json.loads(body)[wanted['cursor_in']]}".lstrip("&"))


async def one_round(
    all_driven: Sequence[Driven], order: Mapping[str, Any], clock: Callable[[], float]
) -> list[float]:
    """µs for each of them, taken by turns."""
    turns = min(order["turns"], order["requests"])
    a_turn = order["requests"] // turns
    spent = [0.0] * len(all_driven)
    numbers = list(range(len(all_driven)))
    for turn in range(turns):
        # None is always the one that runs on another's warm caches.
        shift = turn % len(numbers)
        turned = numbers[shift:] + numbers[:shift]
        for number in turned if turn % 2 == 0 else reversed(turned):
            start = clock()
            await all_driven[number].repeat(a_turn)
            spent[number] += clock() - start
    return [seconds / (a_turn * turns) * 1e6 for seconds in spent]


async def main(order: Mapping[str, Any]) -> list[list[float]]:
    for name in order["needs"]:
        import_module(name)
    clock = CLOCKS[order["clock"]]
    async with AsyncExitStack() as stack:
        all_driven = [await driven(wanted, stack) for wanted in order["contestants"]]
        for one in all_driven:
            await one.check()
        for one in all_driven:
            await one.repeat(order["warm_up"])
        gc.collect()
        gc.freeze()  # collections shall go over what requests leave, not over the imports
        rounds = [await one_round(all_driven, order, clock) for _ in range(order["rounds"])]
    return [list(times) for times in zip(*rounds, strict=True)]


if __name__ == "__main__":
    work = json.loads(sys.argv[1])
    hide(work["without"])
    answer = os.fdopen(os.dup(1), "w")
    discard_output()
    json.dump(asyncio.run(main(work)), answer)
    answer.flush()
