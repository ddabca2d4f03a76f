"""What our ASGI middlewares share."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastapi.routing import iter_route_contexts
from starlette.convertors import CONVERTOR_TYPES
from starlette.routing import BaseRoute, Host, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_kit._misuse import ConfigurationError

RESPONSE_STARTS = frozenset(
    {"http.response.start", "websocket.http.response.start", "websocket.accept"}
)
RawHeader = tuple[bytes, bytes]


def inner_apps(app: ASGIApp) -> Iterator[Any]:
    """The ASGI apps that this one wraps, outermost first, by the convention of an ``app`` attribute."""
    inner: Any = app
    seen: set[int] = set()
    while inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        yield inner
        inner = getattr(inner, "app", None)


def unless_inside(middleware: object, app: ASGIApp, *, refused: type, remedy: str) -> ASGIApp:
    """The app, or its `Refusal` if ``refused`` lies inside ``middleware``."""
    if any(isinstance(inner, refused) for inner in inner_apps(app)):
        return Refusal(
            ConfigurationError(
                f"{type(middleware).__name__} is outside of {refused.__name__}: {remedy}"
            )
        )
    return app


def unless_twice(kind: type, app: ASGIApp) -> ASGIApp:
    """The app, or its `Refusal` if the stack holds a middleware of this kind already."""
    if any(isinstance(inner, kind) for inner in inner_apps(app)):
        return Refusal(
            ConfigurationError(
                f"{kind.__name__} is in the middleware stack twice; keep one "
                "(setup_app adds its own, so do not add it beside setup_app)"
            )
        )
    return app


class Refusal:
    """Stands for an app that is put together wrongly: fails its start, and every request.

    An error that were raised where the stack is built would not stop uvicorn, which takes it for
    an app without lifespan.
    """

    def __init__(self, error: ConfigurationError) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Fail (ASGI)."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(self._error)})
        raise self._error


class RouteTemplates:
    """Finds the full path template that a request was routed to, such as ``/shops/{id}/items``.

    A route object knows only its own part of the path: prefixes of including routers and mounts
    lie in the tree above it. So the tree is walked once, and looked up by endpoint.
    """

    def __init__(self) -> None:
        # By id, as an endpoint may be unhashable; and kept, so that no other gets its id.
        self._known: dict[int, tuple[object, list[_Template]]] = {}

    def find(self, scope: Scope, app: object, path: str) -> str | None:
        """The template, or ``None`` where no route matched.

        Args:
            scope: After routing, so that it names the endpoint.
            app: The outermost app.
            path: The request's path below the app's root path.
        """
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return None
        known = self._known.get(id(endpoint))
        if known is None:
            self._index("", getattr(app, "routes", ()))
            known = self._known.setdefault(id(endpoint), (endpoint, []))
        templates = known[1]
        if len(templates) == 1:
            return templates[0][1]
        return next((shown for matches, shown in templates if matches(path)), None)

    def _index(self, prefix: str, routes: Sequence[BaseRoute]) -> None:
        for endpoint, path in _walk(prefix, routes):
            _, templates = self._known.setdefault(id(endpoint), (endpoint, []))
            shown = _PARAMETER.sub(r"{\1}", path)
            if all(shown != other for _, other in templates):
                templates.append((_matcher(path), shown))


_Template = tuple[Callable[[str], object], str]
_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")


def _matcher(path: str) -> Callable[[str], object]:
    # Not Starlette's compile_path: two parts of a path may have parameters of one name.
    pieces = _PARAMETER.split(path)  # text, name, convertor, text, ...
    pattern = re.escape(pieces[0])
    for convertor, piece in zip(pieces[2::3], pieces[3::3], strict=True):
        pattern += f"(?:{CONVERTOR_TYPES[convertor or 'str'].regex}){re.escape(piece)}"
    return re.compile(pattern).fullmatch


def _walk(prefix: str, routes: Sequence[BaseRoute]) -> Iterator[tuple[object, str]]:
    for context in iter_route_contexts(routes):
        route: Any = context
        original = context.original_route
        if isinstance(original, Host):
            yield from _walk(prefix, original.routes)
        elif isinstance(original, Mount):
            mounted = prefix + str(route.path)
            yield original.app, mounted + "/{path:path}"
            yield from _walk(mounted, original.routes)
        elif route.path is not None and route.endpoint is not None:
            yield route.endpoint, prefix + str(route.path)


def route_path(scope: Scope) -> str:
    """The request's path below the app's root path."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if root and path.startswith(root + "/") else path


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None
