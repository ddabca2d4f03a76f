"""What surrounds every request: each middleware alone, and all that `setup_app` adds."""

from fastapi import FastAPI

from benchmarks.base_route import bare
from benchmarks.inprocess import Case, InProcess
from fastapi_kit.app import setup_app
from fastapi_kit.logs import configure_logging
from fastapi_kit.middleware import (
    AccessLogMiddleware,
    RequestIdMiddleware,
    SecurityHeadersMiddleware,
    TimingMiddleware,
)


def request_id() -> FastAPI:
    app = bare()
    app.add_middleware(RequestIdMiddleware)
    return app


def timing() -> FastAPI:
    app = bare()
    app.add_middleware(TimingMiddleware)
    return app


def security_headers() -> FastAPI:
    app = bare()
    app.add_middleware(SecurityHeadersMiddleware)
    return app


def access_log() -> FastAPI:
    configure_logging()
    app = bare()
    app.add_middleware(AccessLogMiddleware)
    return app


def whole() -> FastAPI:
    configure_logging()
    app = bare()
    setup_app(app)
    return app


def nothing() -> FastAPI:
    """The bare app under another name: shows how far the figures can be trusted."""
    return bare()


PART = InProcess(
    name="stack",
    title="The stack around a request",
    about=(
        "One small route, its app called in-process; each line in processes of its own, where it "
        "takes turns with the bare app. CPU time; the ratio is the median of the rounds' ratios."
    ),
    cases=(
        Case(name="nothing added (shows the noise)", candidate="benchmarks.stack:nothing"),
        Case(name="`RequestIdMiddleware`", candidate="benchmarks.stack:request_id", aim=1.08),
        Case(name="`TimingMiddleware`", candidate="benchmarks.stack:timing", aim=1.05),
        Case(
            name="`SecurityHeadersMiddleware`",
            candidate="benchmarks.stack:security_headers",
            aim=1.05,
        ),
        Case(
            name="`AccessLogMiddleware`, JSON",
            candidate="benchmarks.stack:access_log",
            lines=1,
            without=("orjson",),
        ),
        Case(
            name="`AccessLogMiddleware`, JSON by orjson",
            candidate="benchmarks.stack:access_log",
            lines=1,
            needs=("orjson",),
        ),
        Case(
            name="`setup_app`, JSON",
            candidate="benchmarks.stack:whole",
            lines=1,
            without=("orjson",),
            aim=1.55,
        ),
        Case(
            name="`setup_app`, JSON by orjson",
            candidate="benchmarks.stack:whole",
            lines=1,
            needs=("orjson",),
            aim=1.45,
        ),
        Case(
            name="popular libraries, JSON",
            candidate="benchmarks.peers.popular_libraries:make_app",
            lines=1,
        ),
        Case(
            name='four `@app.middleware("http")`, JSON',
            candidate="benchmarks.handwritten.four_middlewares:make_app",
            lines=1,
        ),
    ),
)
