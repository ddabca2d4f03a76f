"""Request id, access line, timing and security headers by four `@app.middleware("http")`."""

import json
import logging
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response

from benchmarks.base_route import bare

logger = logging.getLogger("app.access")
request_id_of: ContextVar[str | None] = ContextVar("request_id", default=None)

CallNext = Callable[[Request], Awaitable[Response]]


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id_of.get(),
            **getattr(record, "fields", {}),
        }
        return json.dumps(line)


def set_up_logging() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


async def add_security_headers(request: Request, call_next: CallNext) -> Response:
    response = await call_next(request)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    return response


async def add_process_time(request: Request, call_next: CallNext) -> Response:
    start = time.perf_counter()
    response = await call_next(request)
    response.headers["X-Process-Time"] = f"{time.perf_counter() - start:.6f}"
    return response


async def log_request(request: Request, call_next: CallNext) -> Response:
    start = time.perf_counter()
    response = await call_next(request)
    fields = {
        "http.request.method": request.method,
        "url.path": request.url.path,
        "http.response.status_code": response.status_code,
        "client.address": request.client.host if request.client else None,
        "duration_ms": round((time.perf_counter() - start) * 1000, 3),
    }
    logger.info("%s %s", request.method, request.url.path, extra={"fields": fields})
    return response


async def add_request_id(request: Request, call_next: CallNext) -> Response:
    request_id = request.headers.get("X-Request-ID") or uuid.uuid4().hex
    token = request_id_of.set(request_id)
    try:
        response = await call_next(request)
    finally:
        request_id_of.reset(token)
    response.headers["X-Request-ID"] = request_id
    return response


def make_app() -> FastAPI:
    set_up_logging()
    app = bare()
    # What is added last lies outermost.
    for middleware in (add_security_headers, add_process_time, log_request, add_request_id):
        app.middleware("http")(middleware)
    return app
