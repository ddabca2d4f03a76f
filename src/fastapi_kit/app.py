"""The blocks that surround an app, put together in the right order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import BaseRoute, Host, Mount, Router
from starlette.types import ASGIApp

from fastapi_kit._asgi import Refusal, inner_apps
from fastapi_kit.errors import ConfigurationError, ErrorMap, add_error_handlers
from fastapi_kit.errors.openapi import callables_of
from fastapi_kit.logs.configure import adopt_uvicorn, configure_logging
from fastapi_kit.middleware import (
    AccessLog,
    AccessLogMiddleware,
    RequestIdMiddleware,
    SecurityHeaders,
    SecurityHeadersMiddleware,
    TimingMiddleware,
)
from fastapi_kit.middleware.answer_headers import AnswerHeadersMiddleware
from fastapi_kit.settings import AppSettings
from fastapi_kit.settings.base import GUARDED

__all__ = ["Cors", "setup_app"]

_INSTALLED = "fastapi_kit_setup"


@dataclass(frozen=True, kw_only=True)
class Cors:
    """Which other origins' pages may call this app (the Fetch standard's CORS protocol).

    Attributes:
        allow_origins: Such as ``https://app.example.com``; ``"*"`` alone means every origin.
        allow_credentials: Whether they may send cookies. Tokens in the ``Authorization`` header
            need no such permission.
        allow_methods: Methods beside the simple ones.
        allow_headers: Request headers; ``"*"`` means any.
        expose_headers: Answer headers that scripts may read.
        max_age_seconds: How long browsers may remember a preflight's answer.
    """

    allow_origins: Sequence[str]
    allow_credentials: bool = False
    allow_methods: Sequence[str] = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
    allow_headers: Sequence[str] = ("*",)
    expose_headers: Sequence[str] = ("ETag", "Link", "Retry-After", "Server-Timing", "X-Request-ID")
    max_age_seconds: int = 600

    def __post_init__(self) -> None:
        if isinstance(self.allow_origins, str):
            raise ConfigurationError(
                f"allow_origins={self.allow_origins!r} must be a sequence of origins, "
                f"such as [{self.allow_origins!r}]"
            )
        if self.allow_credentials and "*" in self.allow_origins:
            raise ConfigurationError(
                "allow_origins='*' with allow_credentials=True would let every site on the web act "
                "as the logged-in user; name the origins"
            )

    def middleware(self) -> Middleware:
        """The middleware that does it."""
        return Middleware(
            CORSMiddleware,
            allow_origins=self.allow_origins,
            allow_credentials=self.allow_credentials,
            allow_methods=self.allow_methods,
            allow_headers=self.allow_headers,
            expose_headers=self.expose_headers,
            max_age=self.max_age_seconds,
        )


def setup_app(
    app: FastAPI,
    settings: AppSettings | None = None,
    *,
    access_log: AccessLog | None = AccessLog(),  # noqa: B008  # immutable
    server_timing: bool = True,
    process_time: bool = False,
    security_headers: SecurityHeaders | None = SecurityHeaders(),  # noqa: B008  # immutable
    cors: Cors | None = None,
    problem_base_url: str | None = None,
    extra_errors: Sequence[ErrorMap] = (),
) -> None:
    """Give an app its request ids, access log, timing, security headers, CORS and error shape.

    From the outside in: request id, timing, security headers, access log, CORS, answers to 413 and
    500, trusted hosts, then the app's own middlewares. The order of calls does not matter: what
    ``app.add_middleware`` adds, before or after, lies inside.

    With the settings of staging or production the app does not start while a route depends on an
    `Auth` whose hasher is `PasswordHasher.for_tests()`.

    Args:
        app: The app; before it starts, once.
        settings: Configures logging, and gives CORS origins, allowed hosts, root path and the
            largest body where the app and the arguments say nothing. ``None`` leaves all of these
            alone.
        access_log: What access lines hold; ``None`` writes none.
        server_timing: Whether answers carry ``Server-Timing``.
        process_time: Whether they also carry ``X-Process-Time``, in seconds.
        security_headers: Which are added; ``None`` adds none.
        cors: Which origins may call; ``None`` means the settings' origins.
        problem_base_url: Relative problem types are joined to it.
        extra_errors: Maps of further exceptions to problems, such as
            `fastapi_kit.db.database_errors`.

    Raises:
        ConfigurationError: The app was set up before, has started, or values contradict each other.
    """
    if hasattr(app.state, _INSTALLED):
        raise ConfigurationError(f"setup_app was called twice for {app.title!r}; call it once")
    if app.middleware_stack is not None:
        raise ConfigurationError(
            f"setup_app was called for {app.title!r} after its start; call it where the app is made"
        )
    if process_time and not server_timing:
        raise ConfigurationError(
            "process_time=True needs server_timing=True: one middleware adds both headers"
        )
    cors = _cors_of(settings) if cors is None else cors
    headers = _headers(security_headers, timing=server_timing, process_time=process_time)
    outer = _outer(headers, access_log, cors)
    _refuse_doubles(app, outer)
    setattr(app.state, _INSTALLED, True)
    if settings is not None:
        configure_logging(settings.log_level, settings.log_format)
        if app.max_body_size is None:
            app.max_body_size = settings.max_body_size
        app.root_path = app.root_path or settings.root_path
    add_error_handlers(app, problem_base_url=problem_base_url, extra=extra_errors)
    _wrap_stack(app, outer, settings)


def _outer(
    headers: Iterable[Middleware], access_log: AccessLog | None, cors: Cors | None
) -> list[Middleware]:
    outer = [*headers]
    if access_log is not None:
        outer.append(Middleware(AccessLogMiddleware, options=access_log))
    if cors is not None:
        outer.append(cors.middleware())
    return outer


def _headers(
    security: SecurityHeaders | None, *, timing: bool, process_time: bool
) -> Iterator[Middleware]:
    if timing and security is not None:
        yield Middleware(AnswerHeadersMiddleware, process_time=process_time, headers=security)
        return
    yield Middleware(RequestIdMiddleware)
    if timing:
        yield Middleware(TimingMiddleware, process_time=process_time)
    if security is not None:
        yield Middleware(SecurityHeadersMiddleware, headers=security)


def _cors_of(settings: AppSettings | None) -> Cors | None:
    if settings is None or not settings.cors_origins:
        return None
    return Cors(
        allow_origins=settings.cors_origins, allow_credentials=settings.cors_allow_credentials
    )


def _refuse_doubles(app: FastAPI, outer: list[Middleware]) -> None:
    # AnswerHeadersMiddleware is several in one.
    ours: list[object] = [kind for one in outer for kind in getattr(one.cls, "__mro__", ())]
    for own in app.user_middleware:
        if own.cls in ours:
            name = getattr(own.cls, "__name__", own.cls)
            raise ConfigurationError(
                f"{name} was added to {app.title!r}, which setup_app gives one too; keep one of "
                "them: remove it, or tell setup_app by its arguments to leave its own out"
            )


def _hosts(settings: AppSettings | None) -> list[Middleware]:
    if settings is None or not settings.allowed_hosts:
        return []
    return [Middleware(TrustedHostMiddleware, allowed_hosts=settings.allowed_hosts)]


def _refuse_unfit(routes: Iterable[BaseRoute], environment: str, prefix: str = "") -> None:
    """Refuse routes that depend on what says that it is unfit for production."""
    for context in iter_route_contexts(list(routes)):
        path = prefix + (context.path or "")
        if isinstance(context.original_route, Mount | Host):
            # The mount's own middlewares may lie around the app.
            for app in inner_apps(context.original_route.app):
                if isinstance(app, Router | Starlette):
                    _refuse_unfit(app.routes, environment, path)
        elif (dependant := getattr(context, "dependant", None)) is not None:
            for dependency in callables_of(dependant):
                reason = getattr(dependency, "unfit_for_production", None)
                if isinstance(reason, str):
                    raise ConfigurationError(f"{path!r} in {environment}: {reason}")


def _wrap_stack(app: FastAPI, outer: list[Middleware], settings: AppSettings | None) -> None:
    build = app.build_middleware_stack
    inner = _hosts(settings)

    def build_in_order() -> ASGIApp:
        added = app.user_middleware
        app.user_middleware = [*inner, *added]
        try:
            _refuse_doubles(app, outer)  # one may have been added since
            if settings is not None and settings.environment in GUARDED:
                _refuse_unfit(app.routes, settings.environment)
            stack: Any = build()
            for middleware in reversed(outer):
                stack = middleware.cls(stack, *middleware.args, **middleware.kwargs)
        except ConfigurationError as error:
            stack = Refusal(error)
        finally:
            app.user_middleware = added
        if settings is not None:
            adopt_uvicorn()
        return stack  # type: ignore[no-any-return]  # Middleware's factories are typed Any

    # Starlette puts its answers to 413 and 500 outside of what add_middleware adds; these must lie
    # outside of those, or such answers carry no id, no CORS headers, and leave no access line.
    app.build_middleware_stack = build_in_order  # type: ignore[method-assign]
