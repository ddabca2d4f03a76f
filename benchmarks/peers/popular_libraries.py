"""asgi-correlation-id, structlog and secure, joined by a pure ASGI layer: their best case.

structlog has no access log of its own; its guides write the line in `@app.middleware("http")`,
which alone costs more than all of this.
"""

import logging
import sys
from time import perf_counter
from typing import Any

import structlog
from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from fastapi import FastAPI
from secure import Secure
from secure.headers import (
    ContentSecurityPolicy,
    ReferrerPolicy,
    XContentTypeOptions,
    XFrameOptions,
)
from secure.middleware import SecureASGIMiddleware
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.base_route import bare

log = structlog.stdlib.get_logger("app.access")


def set_up_logging() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    structlog.configure(
        processors=[
            add_request_id,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def add_request_id(
    _: Any, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    event["request_id"] = correlation_id.get()
    return event


class AccessLineAndTiming:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = perf_counter()
        status = 500

        async def send_with_timing(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["Server-Timing"] = f"app;dur={(perf_counter() - start) * 1000:.2f}"
            await send(message)

        try:
            await self.app(scope, receive, send_with_timing)
        finally:
            log.info(
                "request served",
                **{
                    "http.request.method": scope["method"],
                    "url.path": scope["path"],
                    "http.response.status_code": status,
                    "client.address": scope["client"][0] if scope["client"] else None,
                    "duration_ms": round((perf_counter() - start) * 1000, 3),
                },
            )


def security_headers() -> Secure:
    """The four that the others send too; the library's presets send up to three times as many."""
    return Secure(
        csp=ContentSecurityPolicy().default_src("'none'").frame_ancestors("'none'"),
        referrer=ReferrerPolicy().no_referrer(),
        xcto=XContentTypeOptions().nosniff(),
        xfo=XFrameOptions().deny(),
    )


def make_app() -> FastAPI:
    set_up_logging()
    app = bare()
    app.add_middleware(SecureASGIMiddleware, secure=security_headers())
    app.add_middleware(AccessLineAndTiming)
    app.add_middleware(CorrelationIdMiddleware)
    return app
