"""Whether the process lives, and whether it can serve: for orchestrators and monitors."""

import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final, Literal, cast

import anyio
import anyio.to_thread
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from fastapi_kit.errors import ConfigurationError

__all__ = ["Check", "CheckReport", "Health", "HealthReport", "LivenessReport"]

Check = Callable[[], Awaitable[object] | object]
"""Fails by raising, by giving ``False``, or by not being done in time; all else passes."""

_DEFAULT_TIMEOUT: Final = timedelta(seconds=2)
_DEFAULT_CACHE: Final = timedelta(seconds=1)
_logger: logging.Logger = logging.getLogger(__name__)


class CheckReport(BaseModel):
    """What one check found."""

    status: Literal["ok", "failed", "timeout"]
    duration_ms: float = Field(description="How long the check took.")


class LivenessReport(BaseModel):
    """The body of ``/livez``."""

    status: Literal["ok"] = "ok"


class HealthReport(BaseModel):
    """The body of ``/readyz`` and ``/health``."""

    status: Literal["ok", "failed", "draining"]
    checks: dict[str, CheckReport] = Field(default={}, description="By the checks' names.")


class Health:
    """Probes for a service: ``app.include_router(Health(checks={"database": db.ping}).router)``.

    ``/livez`` is 200 while the event loop turns, and asks nothing else: an orchestrator restarts
    what fails here, which would not bring a database back.
    ``/readyz`` is 200 while all checks pass, else 503: traffic goes elsewhere.
    ``/health`` is the same as ``/readyz``, by the name that monitors look for.
    All answer GET and HEAD as ``application/json`` with ``Cache-Control: no-store``.

    Checks run at the same time, each with its own time-out. Plain functions run in a thread.
    Why a check failed goes to the log, and never into the answer.

    Args:
        checks: By name; see `Check`.
        timeout: After which a check has failed.
        cache: How long a result is given again. However many probes arrive meanwhile,
            each check runs once. Zero: only probes that overlap share a run.
        include_in_schema: Whether the GET routes are in OpenAPI; probes are no part of most APIs.
        clock: Seconds that never go backwards; replaced in tests.

    Raises:
        ConfigurationError: A name is blank, a check cannot be called, or a duration is out of range.
    """

    def __init__(
        self,
        checks: Mapping[str, Check] | None = None,
        *,
        timeout: timedelta = _DEFAULT_TIMEOUT,
        cache: timedelta = _DEFAULT_CACHE,
        include_in_schema: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = dict(checks or {})
        _refuse_unfit(self._checks, timeout, cache)
        self._timeout_seconds = timeout.total_seconds()
        self._cache_seconds = cache.total_seconds()
        self._clock = clock
        self._one_run = anyio.Lock()
        self._last: HealthReport | None = None
        self._last_at = 0.0
        self._in_thread: set[str] = set()
        self._draining = False
        self.router: APIRouter = self._routes(include_in_schema=include_in_schema)
        """The routes, for ``app.include_router``."""

    def drain(self) -> None:
        """Make ``/readyz`` 503 from now on, so that no new traffic comes before the process stops.

        Call it when the stop is announced: from a pre-stop hook's route or a signal handler.
        The end of the lifespan is too late, for by then the server accepts nothing anyway.
        """
        self._draining = True

    @property
    def draining(self) -> bool:
        """Whether `drain` was called."""
        return self._draining

    async def report(self) -> HealthReport:
        """What the checks find, from the cache or a run that is shared by all who wait for it."""
        if self._draining:
            return HealthReport(status="draining")
        before = self._last
        if before is not None and self._clock() - self._last_at < self._cache_seconds:
            return before
        async with self._one_run:
            # A run that ended while this probe waited is fresh enough for it.
            if self._last is None or self._last is before:
                self._last = await self._run()
                self._last_at = self._clock()
            return self._last

    async def _run(self) -> HealthReport:
        found: dict[str, CheckReport] = {}

        async def note(name: str) -> None:
            found[name] = await self._check(name)

        async with anyio.create_task_group() as tasks:
            for name in self._checks:
                tasks.start_soon(note, name)
        passed = all(report.status == "ok" for report in found.values())
        ordered = {name: found[name] for name in self._checks}
        return HealthReport(status="ok" if passed else "failed", checks=ordered)

    async def _check(self, name: str) -> CheckReport:
        status: Literal["ok", "failed", "timeout"] = "timeout"
        started = self._clock()
        with anyio.move_on_after(self._timeout_seconds):
            status = await self._outcome(name)
        if status == "timeout":
            _logger.error("health check %s took more than %s s", name, self._timeout_seconds)
        return CheckReport(status=status, duration_ms=round((self._clock() - started) * 1000, 3))

    async def _outcome(self, name: str) -> Literal["ok", "failed", "timeout"]:
        try:
            passed = await self._call(name) is not False
        except Exception:
            _logger.exception("health check %s failed", name)
            return "failed"
        if not passed:
            _logger.error("health check %s gave False", name)
        return "ok" if passed else "failed"

    async def _call(self, name: str) -> object:
        check = self._checks[name]
        if _is_async(check):
            return await cast("Awaitable[object]", check())
        result = await self._call_in_thread(name, check)
        # A lambda around a coroutine function is told only by what it gives.
        return await cast("Awaitable[object]", result) if inspect.isawaitable(result) else result

    async def _call_in_thread(self, name: str, check: Check) -> object:
        # A thread cannot be stopped: while one hangs, no further one may pile up behind it.
        if name in self._in_thread:
            raise RuntimeError("the check's previous run has not come to an end yet")

        def run() -> object:
            self._in_thread.add(name)  # only here: cancelled early enough, this never runs
            try:
                return check()
            finally:
                self._in_thread.discard(name)

        # Its own limiter: a thread pool that is busy with requests is not a failing dependency.
        return await anyio.to_thread.run_sync(
            run, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
        )

    def _routes(self, *, include_in_schema: bool) -> APIRouter:
        router = APIRouter(tags=["health"])

        async def livez() -> JSONResponse:
            return _answer(LivenessReport())

        async def readyz() -> JSONResponse:
            return _answer(await self.report())

        failing: dict[int | str, dict[str, Any]] = {
            503: {"model": HealthReport, "description": "Not ready"}
        }
        get = partial(router.get, include_in_schema=include_in_schema)
        head = partial(router.head, include_in_schema=False)
        get("/livez", response_model=LivenessReport)(livez)
        head("/livez")(livez)
        for path in ("/readyz", "/health"):
            get(path, response_model=HealthReport, responses=failing)(readyz)
            head(path)(readyz)
        return router


def _answer(report: LivenessReport | HealthReport) -> JSONResponse:
    return JSONResponse(
        report.model_dump(),
        status_code=200 if report.status == "ok" else 503,
        headers={"Cache-Control": "no-store"},
    )


def _is_async(check: Check) -> bool:
    return inspect.iscoroutinefunction(check) or inspect.iscoroutinefunction(
        getattr(check, "__call__", None)  # noqa: B004
    )


def _refuse_unfit(checks: Mapping[str, Check], timeout: timedelta, cache: timedelta) -> None:
    for name, check in checks.items():
        if not name.strip():
            raise ConfigurationError(f"health check name {name!r} is blank; give it a name")
        if not callable(check):
            raise ConfigurationError(
                f"health check {name!r} is {type(check).__name__}, which cannot be called; "
                "pass the function itself, not its result"
            )
    if timeout <= timedelta():
        raise ConfigurationError(f"timeout={timeout!r} leaves a check no time; use more than zero")
    if cache < timedelta():
        raise ConfigurationError(f"cache={cache!r} is negative; use zero or more")
