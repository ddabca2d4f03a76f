"""Log lines of a service: standard library logging, one line a record, request id on each."""

from fastapi_kit.logs.configure import LogFormat, configure_logging
from fastapi_kit.logs.context import add_log_fields, get_request_id
from fastapi_kit.logs.formats import ConsoleFormatter, JsonFormatter

__all__ = [
    "ConsoleFormatter",
    "JsonFormatter",
    "LogFormat",
    "add_log_fields",
    "configure_logging",
    "get_request_id",
]
