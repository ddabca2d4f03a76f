import asyncio
import runpy
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_kit.errors import MissingExtraError
from fastapi_kit.testing import app_client, assert_problem

PROBLEM = {"type": "https://api.example/problems/sold", "title": "Sold", "status": 409, "left": 0}


def make_app(log: list[str] | None = None) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any], None]:
        events = log if log is not None else []
        events.append("start")
        async with anyio.create_task_group():  # breaks when left by another task
            yield {"shelf": ["book"]}
        events.append("stop")

    app = FastAPI(lifespan=lifespan)

    @app.get("/state")
    async def state(request: Request) -> dict[str, Any]:
        request.state.count = getattr(request.state, "count", 0) + 1
        return {"shelf": request.state.shelf, "count": request.state.count}

    @app.get("/url")
    async def url(request: Request) -> str:
        return str(request.url)

    @app.get("/boom")
    async def boom() -> None:
        raise LookupError("boom")

    return app


class TestAppClient:
    async def test_the_lifespan_runs_around_the_client(self) -> None:
        log: list[str] = []

        async with app_client(make_app(log)) as client:
            assert log == ["start"]
            assert isinstance(client, httpx.AsyncClient)

        assert log == ["start", "stop"]

    async def test_state_reaches_each_request_in_a_copy_of_its_own(self) -> None:
        async with app_client(make_app()) as client:
            answers = [(await client.get("/state")).json() for _ in range(2)]

        assert answers == [{"shelf": ["book"], "count": 1}] * 2

    async def test_the_base_url_is_what_the_app_sees(self) -> None:
        async with app_client(make_app()) as client:
            assert (await client.get("/url")).json() == "http://testserver/url"
        async with app_client(make_app(), base_url="https://shop.example") as client:
            assert (await client.get("/url")).json() == "https://shop.example/url"

    async def test_exceptions_of_the_app_reach_the_test(self) -> None:
        async with app_client(make_app()) as client:
            with pytest.raises(LookupError, match="boom"):
                await client.get("/boom")

    async def test_exceptions_of_the_app_can_be_seen_as_a_client_does(self) -> None:
        async with app_client(make_app(), raise_app_exceptions=False) as client:
            response = await client.get("/boom")

        assert response.status_code == 500

    async def test_apps_wrapped_in_middleware_fit(self) -> None:
        def wrap(app: ASGIApp) -> ASGIApp:
            async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
                await app(scope, receive, send)

            return wrapped

        async with app_client(wrap(make_app())) as client:
            assert (await client.get("/state")).status_code == 200

    async def test_a_failing_start_reaches_the_test(self) -> None:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
            raise OSError("no database")
            yield

        with pytest.raises(OSError, match="no database"):
            async with app_client(FastAPI(lifespan=lifespan)):
                pytest.fail("an app that has not started has no client")  # pragma: no cover

    async def test_a_failing_stop_reaches_the_test(self) -> None:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
            yield
            raise OSError("stuck")

        with pytest.raises(OSError, match="stuck"):
            async with app_client(FastAPI(lifespan=lifespan)):
                pass

    async def test_the_lifespan_ends_when_the_test_fails(self) -> None:
        log: list[str] = []

        with pytest.raises(KeyError):
            async with app_client(make_app(log)):
                raise KeyError

        assert log == ["start", "stop"]

    @pytest.mark.parametrize("stage", ["startup", "shutdown"])
    async def test_a_failure_that_is_only_reported_reaches_the_test(self, stage: str) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            if stage == "shutdown":
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": f"lifespan.{stage}.failed", "message": "no luck"})

        with pytest.raises(RuntimeError, match=f"lifespan.{stage}.failed: no luck"):
            async with app_client(app):
                pass

    async def test_an_app_without_a_lifespan_is_refused(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            """Answer nothing."""

        with pytest.raises(RuntimeError, match="the app ended without having started"):
            async with app_client(app):
                pytest.fail("an app that has not started has no client")  # pragma: no cover

    async def test_a_cancelled_start_leaves_nothing_behind(self) -> None:
        before = asyncio.all_tasks()
        starting = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            starting.set()
            await asyncio.Event().wait()

        async def start() -> None:
            async with app_client(app):
                pytest.fail("an app that has not started has no client")  # pragma: no cover

        task = asyncio.create_task(start())
        await starting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    @pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
    def test_without_httpx_the_error_names_the_extra(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "httpx", None)
            with pytest.raises(MissingExtraError, match=r"'httpx'.* fastapi-kit\[testing\]"):
                runpy.run_module("fastapi_kit.testing.client", run_name="without_httpx")


def problem(
    body: Any = None, status: int = 409, media_type: str = "application/problem+json"
) -> httpx.Response:
    return httpx.Response(
        status, json=PROBLEM if body is None else body, headers={"content-type": media_type}
    )


def complaint(response: httpx.Response, status: int = 409, **expected: Any) -> list[str]:
    with pytest.raises(AssertionError) as raised:
        assert_problem(response, status, **expected)
    return str(raised.value).splitlines()[1:-1]


class TestAssertProblem:
    def test_a_problem_passes_and_its_body_is_given(self) -> None:
        assert assert_problem(problem(), 409) == PROBLEM

    def test_every_member_can_be_expected(self) -> None:
        body = {**PROBLEM, "detail": "None left"}

        assert assert_problem(
            problem(body),
            409,
            type="https://api.example/problems/sold",
            title="Sold",
            detail="None left",
            left=0,
        )

    def test_a_path_fits_an_absolute_type(self) -> None:
        assert assert_problem(problem(), 409, type="/problems/sold")

    def test_a_path_fits_only_the_whole_path(self) -> None:
        assert complaint(problem(), type="/sold") == [
            "- type is 'https://api.example/problems/sold', not '/sold'"
        ]

    def test_a_media_type_may_have_parameters(self) -> None:
        assert assert_problem(problem(media_type="application/problem+json; charset=utf-8"), 409)

    def test_answers_of_the_sync_test_client_fit(self) -> None:
        app = FastAPI()

        @app.get("/")
        async def sold() -> JSONResponse:
            return JSONResponse(PROBLEM, status_code=409, media_type="application/problem+json")

        assert assert_problem(TestClient(app).get("/"), 409, left=0)

    def test_another_status_is_told(self) -> None:
        assert complaint(problem(), status=404) == [
            "- status is 409",
            "- status is 409, not 404",
        ]

    def test_a_status_that_differs_from_the_body_is_told(self) -> None:
        assert complaint(problem(status=404), status=404) == ["- status is 409, not 404"]

    def test_another_media_type_is_told(self) -> None:
        assert complaint(problem(media_type="application/json")) == [
            "- content-type is 'application/json', not 'application/problem+json'"
        ]

    def test_another_value_is_told(self) -> None:
        assert complaint(problem(), left=1, title="Gone") == [
            "- title is 'Sold', not 'Gone'",
            "- left is 0, not 1",
        ]

    def test_an_absent_member_is_told(self) -> None:
        assert complaint(problem(), detail="None left") == ["- detail is absent, not 'None left'"]

    def test_a_member_expected_to_be_none_must_be_there(self) -> None:
        assert complaint(problem(), owner=None) == ["- owner is absent, not None"]

    def test_standard_members_must_be_strings(self) -> None:
        assert complaint(problem({"type": 1, "status": 409}), type="/x") == [
            "- type is 1, not a string",
            "- title is None, not a string",
            "- type is 1, not '/x'",
        ]

    @pytest.mark.parametrize("body", ["plain text", "[1, 2]"])
    def test_a_body_that_is_no_object_is_told_and_shown(self, body: str) -> None:
        response = httpx.Response(
            409, content=body, headers={"content-type": "application/problem+json"}
        )

        assert complaint(response) == ["- the body is no JSON object"]
        with pytest.raises(AssertionError, match="expected problem 409, but:"):
            assert_problem(response, 409)
