import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.health import Health

SHORT = timedelta(milliseconds=20)
LONG = timedelta(seconds=30)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def client_of(health: Health) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(health.router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def get(health: Health, path: str = "/readyz") -> httpx.Response:
    async with client_of(health) as client:
        return await client.get(path)


async def passing() -> None:
    return None


def passing_sync() -> bool:
    return True


async def raising() -> None:
    raise OSError("password=hunter2 at db.internal")


def raising_sync() -> None:
    raise OSError("password=hunter2 at db.internal")


async def hanging() -> None:
    await asyncio.Event().wait()


def hidden(check: Callable[[], Awaitable[None]]) -> Callable[[], object]:
    """A plain function that gives an awaitable."""
    return lambda *_: check()


class Ping:
    async def __call__(self) -> None:
        return None


async def test_readiness_without_checks_is_ok() -> None:
    response = await get(Health())

    assert response.status_code == 200
    assert response.json() == {"status": "ok", "checks": {}}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_every_probe_answers_get_and_head(path: str, method: str) -> None:
    async with client_of(Health({"a": passing})) as client:
        response = await client.request(method, path)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "check",
    [
        passing,
        passing_sync,
        Ping(),
        hidden(passing),
        lambda: 0,
        functools.partial(passing),
        Ping().__call__,
    ],
)
async def test_a_check_passes_whatever_its_kind(check: Callable[[], Any]) -> None:
    response = await get(Health({"a": check}))

    assert response.status_code == 200
    assert response.json()["checks"]["a"]["status"] == "ok"


async def false() -> bool:
    return False


@pytest.mark.parametrize("check", [raising, raising_sync, false, lambda: False, hidden(raising)])
@pytest.mark.parametrize("path", ["/readyz", "/health"])
async def test_one_failing_check_is_503(check: Callable[[], Any], path: str) -> None:
    response = await get(Health({"good": passing, "bad": check}), path)

    assert response.status_code == 503
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert body["status"] == "failed"
    assert {name: report["status"] for name, report in body["checks"].items()} == {
        "good": "ok",
        "bad": "failed",
    }


@pytest.mark.parametrize("check", [raising, raising_sync])
async def test_the_reason_is_logged_and_not_answered(
    check: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    response = await get(Health({"db": check}))

    assert "hunter2" not in response.text
    assert "health check db failed" in caplog.text
    assert "OSError" in caplog.text


async def test_a_check_that_gives_false_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    await get(Health({"db": false}))

    assert caplog.messages == ["health check db gave False"]


async def test_a_hanging_check_is_timed_out(caplog: pytest.LogCaptureFixture) -> None:
    response = await get(Health({"db": hanging, "other": passing}, timeout=SHORT))

    assert response.status_code == 503
    assert response.json()["checks"]["db"]["status"] == "timeout"
    assert response.json()["checks"]["other"]["status"] == "ok"
    assert caplog.messages == ["health check db took more than 0.02 s"]


async def test_a_hanging_thread_is_timed_out_and_not_joined_by_another() -> None:
    release, calls = threading.Event(), []

    def hang() -> None:
        calls.append(1)
        release.wait()

    health = Health({"db": hang}, timeout=SHORT, cache=timedelta())
    while not calls:  # on a busy machine the thread may not start in time
        timed_out = await health.report()
    failed = await health.report()
    release.set()

    assert timed_out.checks["db"].status == "timeout"
    assert failed.checks["db"].status == "failed"
    assert len(calls) == 1


async def test_a_thread_that_comes_back_is_asked_again() -> None:
    health = Health({"db": passing_sync}, cache=timedelta())

    assert (await health.report()).status == "ok"
    assert (await health.report()).status == "ok"


async def test_checks_run_at_the_same_time() -> None:
    barrier = asyncio.Barrier(2)

    async def meet() -> None:
        await barrier.wait()

    report = await Health({"a": meet, "b": meet}, timeout=LONG).report()

    assert report.status == "ok"
    assert list(report.checks) == ["a", "b"]


async def test_liveness_asks_no_dependency() -> None:
    health = Health({"db": raising})
    health.drain()

    response = await get(health, "/livez")

    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


async def test_draining_is_503_and_asks_no_dependency() -> None:
    calls: list[int] = []
    health = Health({"db": lambda: calls.append(1)})

    health.drain()
    response = await get(health)

    assert health.draining
    assert response.status_code == 503
    assert response.json() == {"status": "draining", "checks": {}}
    assert calls == []


def counted(calls: list[int]) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        calls.append(1)

    return check


class Gate:
    """A check that waits to be opened."""

    def __init__(self) -> None:
        self.asked, self.open = asyncio.Event(), asyncio.Event()
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1
        self.asked.set()
        await self.open.wait()


@pytest.mark.parametrize("cache", [timedelta(), timedelta(seconds=1)])
async def test_a_storm_of_probes_runs_each_check_once(cache: timedelta) -> None:
    gate = Gate()
    health = Health({"db": gate}, cache=cache, timeout=LONG)

    probes = [asyncio.create_task(health.report()) for _ in range(50)]
    await gate.asked.wait()
    gate.open.set()
    reports = await asyncio.gather(*probes)

    assert gate.calls == 1
    assert all(report is reports[0] for report in reports)


async def test_a_probe_that_gives_up_leaves_the_run_to_the_next() -> None:
    gate = Gate()
    health = Health({"db": gate}, timeout=LONG)
    first, second = (asyncio.create_task(health.report()) for _ in range(2))
    await gate.asked.wait()

    first.cancel()
    gate.open.set()

    assert (await second).status == "ok"
    assert gate.calls == 2


async def test_a_result_is_given_again_until_it_is_old() -> None:
    calls: list[int] = []
    clock = Clock()
    health = Health({"db": counted(calls)}, cache=timedelta(seconds=5), clock=clock)

    for moment, expected in ((100.0, 1), (104.9, 1), (105.0, 2), (109.9, 2)):
        clock.now = moment
        await health.report()
        assert len(calls) == expected


async def test_a_cache_of_zero_asks_every_time() -> None:
    calls: list[int] = []
    health = Health({"db": counted(calls)}, cache=timedelta())

    await health.report()
    await health.report()

    assert len(calls) == 2


async def test_failures_are_cached_too() -> None:
    calls: list[int] = []

    async def fail() -> None:
        calls.append(1)
        raise OSError

    health = Health({"db": fail}, cache=LONG)
    await health.report()
    await health.report()

    assert len(calls) == 1


async def test_durations_are_milliseconds() -> None:
    clock = Clock()

    async def slow() -> None:
        clock.now += 0.25

    report = await Health({"db": slow}, clock=clock).report()

    assert report.checks["db"].duration_ms == 250


def schema_of(health: Health) -> dict[str, Any]:
    app = FastAPI()
    app.include_router(health.router)
    return app.openapi()


def test_probes_are_in_openapi_only_when_asked_for() -> None:
    assert schema_of(Health())["paths"] == {}

    paths = schema_of(Health(include_in_schema=True))["paths"]
    assert sorted(paths) == ["/health", "/livez", "/readyz"]
    assert all(set(operations) == {"get"} for operations in paths.values())
    assert set(paths["/readyz"]["get"]["responses"]) == {"200", "503"}


@pytest.mark.parametrize(
    ("checks", "options", "message"),
    [
        ({" ": passing}, {}, "name ' ' is blank"),
        ({"db": True}, {}, "'db' is bool, which cannot be called; pass the function itself"),
        ({}, {"timeout": timedelta()}, "leaves a check no time; use more than zero"),
        ({}, {"cache": timedelta(seconds=-1)}, "is negative; use zero or more"),
    ],
)
def test_misuse_is_refused_when_the_app_is_built(
    checks: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Health(checks, **options)


async def test_a_bad_probe_is_logged_under_our_name(caplog: pytest.LogCaptureFixture) -> None:
    await get(Health({"db": raising}))

    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("fastapi_kit.health", logging.ERROR)
    ]
