"""Several lifespans as one: started in order, unwound in reverse.

Two traps of today's FastAPI lie next to it.
Handlers added by ``on_event`` or ``add_event_handler`` never run once an app has ``lifespan=``.
A mounted app's own lifespan never runs either; `mounted` runs it.
"""

import inspect
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncContextDecorator,
    AsyncExitStack,
    asynccontextmanager,
)
from typing import Any, cast

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_kit.errors import ConfigurationError

__all__ = ["Lifespan", "compose", "mounted"]

Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]
"""What FastAPI takes as ``lifespan=``: the app in, a context manager of state or nothing out."""


def compose(*lifespans: Lifespan) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
    """One lifespan that runs all of these, for ``FastAPI(lifespan=...)``.

    They start in the order given. They end in reverse order, each of them that started, also when
    one fails to start, one fails to end, or the whole is cancelled.
    What they yield is merged and reaches each request as ``request.state``.

    Args:
        *lifespans: Functions of the app that give an asynchronous context manager of a mapping,
            or of nothing.

    Raises:
        ConfigurationError: An argument is no such function. At start: one of them yields something
            else than a mapping, or a key that an earlier one has given.
    """
    for lifespan in lifespans:
        _refuse_unfit(lifespan)

    @asynccontextmanager
    async def composed(app: Any) -> AsyncGenerator[Mapping[str, Any] | None, None]:
        async with AsyncExitStack() as stack:
            state: dict[str, Any] = {}
            givers: dict[str, str] = {}
            for lifespan in lifespans:
                given = await stack.enter_async_context(lifespan(app))
                _merge(state, given, givers, _name(lifespan))
            # A server without lifespan state refuses even an empty mapping.
            yield state or None

    return composed


def _name(lifespan: object) -> str:
    return getattr(lifespan, "__qualname__", None) or type(lifespan).__qualname__


def _refuse_unfit(lifespan: object) -> None:
    calls = (lifespan, getattr(lifespan, "__call__", None))  # noqa: B004
    if any(inspect.isasyncgenfunction(it) or inspect.isgeneratorfunction(it) for it in calls):
        raise ConfigurationError(
            f"lifespan {_name(lifespan)!r} is a bare generator function; "
            "make it `async def` and decorate it with @contextlib.asynccontextmanager"
        )
    if any(inspect.iscoroutinefunction(it) for it in calls):
        raise ConfigurationError(
            f"lifespan {_name(lifespan)!r} is a coroutine function and never yields; "
            "yield once in it and decorate it with @contextlib.asynccontextmanager"
        )
    # What @asynccontextmanager's functions give is callable too, as a decorator.
    if not callable(lifespan) or isinstance(lifespan, AsyncContextDecorator):
        raise ConfigurationError(
            f"lifespan {lifespan!r} is no function of the app; "
            "pass the function itself, and not its result"
        )


def _merge(state: dict[str, Any], given: object, givers: dict[str, str], giver: str) -> None:
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"lifespan {giver!r} yielded {type(given).__name__}; yield a mapping, or nothing"
        )
    for key, value in cast("Mapping[str, Any]", given).items():
        if key in state:
            raise ConfigurationError(
                f"lifespan state {key!r} is given by {givers[key]!r} and by {giver!r}; "
                "give it another name in one of them"
            )
        state[key] = value
        givers[key] = giver


def mounted(app: Starlette) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """The lifespan of an app that is mounted on another, to be composed into the other's.

    Its state reaches the requests of the mounted app alone, where it comes before the outer app's.
    Call it once for each app, before it serves.

    Args:
        app: The mounted app, which is a FastAPI or Starlette app.

    Raises:
        ConfigurationError: It is something else, or has already served a request.
    """
    if not isinstance(cast("object", app), Starlette):
        raise ConfigurationError(
            f"mounted() got {type(app).__name__}; pass the FastAPI or Starlette app itself "
            "(the lifespans of included routers run without it)"
        )
    state: dict[str, Any] = {}
    try:
        app.add_middleware(_MountedState, state=state)
    except RuntimeError as error:
        raise ConfigurationError(
            "mounted() came after the app's first request; call it while the apps are put together"
        ) from error

    @asynccontextmanager
    async def mounted_lifespan(_outer: Any) -> AsyncGenerator[None, None]:
        async with app.router.lifespan_context(app) as own:
            state.update(own or {})
            try:
                yield
            finally:
                state.clear()

    return mounted_lifespan


class _MountedState:
    def __init__(self, app: ASGIApp, *, state: Mapping[str, Any]) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            # In place: what the mounted app notes there must stay visible to the outer middleware.
            scope.setdefault("state", {}).update(self.state)
        await self.app(scope, receive, send)
