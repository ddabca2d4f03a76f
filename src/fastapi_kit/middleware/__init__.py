"""Pure ASGI middlewares, each of use alone; `fastapi_kit.setup_app` puts them in order."""

from fastapi_kit.middleware.access_log import AccessLog, AccessLogMiddleware
from fastapi_kit.middleware.request_id import RequestIdMiddleware, new_request_id
from fastapi_kit.middleware.security_headers import SecurityHeaders, SecurityHeadersMiddleware
from fastapi_kit.middleware.timing import TimingMiddleware

__all__ = [
    "AccessLog",
    "AccessLogMiddleware",
    "RequestIdMiddleware",
    "SecurityHeaders",
    "SecurityHeadersMiddleware",
    "TimingMiddleware",
    "new_request_id",
]
