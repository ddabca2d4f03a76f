"""Fields and ids belong to one request: its lines, threads and tasks, and nobody else's."""

import asyncio
import logging
import threading
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient

from fastapi_kit.logs import add_log_fields, get_request_id
from fastapi_kit.middleware import AccessLogMiddleware, RequestIdMiddleware
from tests.logs.capture import LogOutput, client_of, get

_logger = logging.getLogger("app")


def log_user() -> int:
    add_log_fields(user=5)
    return 5


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/async")
    async def in_a_coroutine(user: Annotated[int, Depends(log_user)]) -> str | None:
        add_log_fields(order=7, at="coroutine")
        _logger.info("working")
        return get_request_id()

    @app.get("/sync")
    def in_a_thread() -> str | None:
        add_log_fields(order=7, at="thread")
        _logger.info("working")
        return get_request_id()

    @app.get("/task")
    async def with_a_task(tasks: BackgroundTasks) -> None:
        tasks.add_task(_logger.info, "afterwards")
        tasks.add_task(add_log_fields, late=True)
        tasks.add_task(_logger.info, "later")

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        add_log_fields(room="a")
        await websocket.send_json(get_request_id())

    app.add_middleware(AccessLogMiddleware)
    app.add_middleware(RequestIdMiddleware)
    return app


@pytest.mark.parametrize(("path", "at"), [("/async", "coroutine"), ("/sync", "thread")])
async def test_fields_are_on_every_later_line_of_the_request(
    log_output: LogOutput, path: str, at: str
) -> None:
    response = await get(make_app(), path)

    own, access = log_output.lines
    for line in (own, access):
        assert (line["order"], line["at"]) == (7, at)
        assert line["request_id"] == response.json() == response.headers["x-request-id"]


async def test_a_dependencys_fields_are_on_the_access_line(log_output: LogOutput) -> None:
    await get(make_app(), "/async")

    assert log_output.access[0]["user"] == 5


async def test_a_background_task_shares_the_id_but_comes_after_the_line(
    log_output: LogOutput,
) -> None:
    await get(make_app(), "/task")

    access, first, second = log_output.lines
    assert access["logger"] == "fastapi_kit.access"
    assert {line["request_id"] for line in log_output.lines} == {access["request_id"]}
    assert "late" not in access
    assert "late" not in first
    assert second["late"] is True


def test_a_websocket_has_fields_too(log_output: LogOutput) -> None:
    with TestClient(make_app()).websocket_connect("/socket") as websocket:
        request_id = websocket.receive_json()

    [line] = log_output.access
    assert (line["room"], line["request_id"]) == ("a", request_id)


async def test_ids_and_fields_never_mix(log_output: LogOutput) -> None:
    app = FastAPI()
    all_in = asyncio.Barrier(50)

    @app.get("/{number}")
    async def read(number: int) -> str | None:
        add_log_fields(number=number)
        await all_in.wait()
        await asyncio.to_thread(_logger.info, "in a thread")
        return get_request_id()

    app.add_middleware(AccessLogMiddleware)
    app.add_middleware(RequestIdMiddleware)

    async with client_of(app) as client:
        responses = await asyncio.gather(
            *(client.get(f"/{n}", headers={"X-Request-ID": f"id-{n}"}) for n in range(50))
        )

    assert [response.json() for response in responses] == [f"id-{n}" for n in range(50)]
    assert len(log_output.lines) == 100
    assert all(line["request_id"] == f"id-{line['number']}" for line in log_output.lines)


def test_outside_of_a_request_nothing_happens(log_output: LogOutput) -> None:
    add_log_fields(order=7)
    _logger.info("working")

    [line] = log_output.lines
    assert get_request_id() is None
    assert "order" not in line
    assert "request_id" not in line


async def test_nothing_is_left_of_a_request_behind_it(log_output: LogOutput) -> None:
    await get(make_app(), "/async")

    _logger.info("afterwards")

    assert get_request_id() is None
    assert "order" not in log_output.lines[-1]


async def test_a_field_can_be_replaced_and_is_kept_as_it_was_then(log_output: LogOutput) -> None:
    app = FastAPI()

    @app.get("/")
    async def read() -> None:
        basket: list[Any] = [1]
        add_log_fields(basket=basket, step=1)
        basket.append(object())
        add_log_fields(step=2)

    app.add_middleware(AccessLogMiddleware)

    await get(app)

    [line] = log_output.access
    assert (line["basket"], line["step"]) == ([1], 2)


async def test_secret_fields_are_redacted(log_output: LogOutput) -> None:
    app = FastAPI()

    @app.get("/")
    async def read() -> None:
        add_log_fields(password="hunter2", url="https://a.test/?token=hunter2")

    app.add_middleware(AccessLogMiddleware)

    await get(app)

    [line] = log_output.access
    assert line["password"] == "[redacted]"
    assert line["url"] == "https://a.test/?token=[redacted]"


async def test_fields_cannot_pose_as_the_lines_own(log_output: LogOutput) -> None:
    app = FastAPI()

    @app.get("/")
    async def read() -> None:
        add_log_fields(message="forged", level="DEBUG", request_id="x", **{"url.path": "/y"})

    app.add_middleware(AccessLogMiddleware)
    app.add_middleware(RequestIdMiddleware)

    response = await get(app)

    [line] = log_output.access
    assert (line["message"], line["level"], line["url.path"]) == ("GET / 200", "INFO", "/")
    assert line["request_id"] == response.headers["x-request-id"]
    assert (line["extra.message"], line["extra.request_id"]) == ("forged", "x")


async def test_fields_may_be_added_by_several_threads_at_once(log_output: LogOutput) -> None:
    app = FastAPI()

    @app.get("/")
    def read() -> None:
        import contextvars

        def add(start: int) -> None:
            for number in range(start, start + 200):
                add_log_fields(**{f"field_{number}": number})
                _logger.info("working")

        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(add, start))
            for start in (0, 1000)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    app.add_middleware(AccessLogMiddleware)

    await get(app)

    assert len(log_output.lines) == 401
    assert sum(key.startswith("field_") for key in log_output.access[0]) == 400
