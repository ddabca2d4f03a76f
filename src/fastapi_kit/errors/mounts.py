"""Finds mounted FastAPI apps, which the parent's exception handlers do not cover."""

import warnings
from collections.abc import Iterator, Sequence

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Host, Mount

from fastapi_kit._asgi import inner_apps


def warn_of_uncovered_mounts(app: FastAPI, mark: str) -> None:
    """Warn of each mounted FastAPI app without error handlers.

    Args:
        app: The parent.
        mark: The attribute of ``app.state`` that tells that an app has them.
    """
    for path, mounted in _mounted_apps("", app.routes):
        if not hasattr(mounted.state, mark):
            warnings.warn(
                f"The FastAPI app {mounted.title!r} mounted at {path!r} answers errors in "
                "FastAPI's own shape: call add_error_handlers for it too",
                stacklevel=2,
            )


def _mounted_apps(prefix: str, routes: Sequence[BaseRoute]) -> Iterator[tuple[str, FastAPI]]:
    for context in iter_route_contexts(routes):
        route = context.original_route
        if not isinstance(route, Mount | Host):
            continue
        path = prefix + (context.path or "")
        # The mount's own middlewares lie around the app.
        yield from ((path, app) for app in inner_apps(route.app) if isinstance(app, FastAPI))
        yield from _mounted_apps(path, route.routes or ())
