"""Standard library logging, set up for a service."""

import logging
import sys
from contextlib import suppress
from contextvars import ContextVar
from typing import Final, Literal, TextIO, get_args

from fastapi_kit._misuse import ConfigurationError
from fastapi_kit.logs.formats import ConsoleFormatter, JsonFormatter
from fastapi_kit.logs.redaction import redact_query

LogFormat = Literal["json", "console"]
_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
_SEEN_MARK = "__fastapi_kit_logged__"

answered_instead: ContextVar[bool] = ContextVar("fastapi_kit.answered_instead", default=False)
"""Whether this task's WebSocket got an HTTP answer in place of the handshake."""


class _KitHandler(logging.StreamHandler[TextIO]):
    """The handler that `configure_logging` puts on the root logger, and replaces next time."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit the record under the lock, as handlers do, in a third of the calls."""
        if self.filters or self.lock is None:
            return super().handle(record)
        with self.lock:
            self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, in characters that the stream's encoding has, and flush it."""
        # As StreamHandler does, in half as many calls.
        try:
            formatter = self.formatter
            line = self.format(record) if formatter is None else formatter.format(record)
            stream = self.stream
            stream.write((line if line.isascii() else _encodable(line, stream)) + "\n")
            stream.flush()
        except Exception:  # noqa: BLE001  # a stream may raise anything
            self.handleError(record)


def _encodable(line: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return line.encode(encoding, "backslashreplace").decode(encoding)


def configure_logging(
    level: str = "INFO", format: LogFormat = "json", *, stream: TextIO | None = None
) -> None:
    """Send the log lines of the whole process to one stream in one format.

    Puts one handler on the root logger and lets uvicorn's loggers pass their records on to it.
    Handlers that others have put on the root logger stay; calling it again replaces only its own.

    Args:
        level: The least severe level that is written: DEBUG, INFO, WARNING, ERROR or CRITICAL.
        format: ``"json"`` for machines, ``"console"`` for people.
        stream: Where the lines go; ``None`` means standard output.

    Raises:
        ConfigurationError: The level or the format is not one of the above.
    """
    if not isinstance(level, str) or level.upper() not in _LEVELS:  # pyright: ignore[reportUnnecessaryIsInstance]  # logging's own numbers
        raise ConfigurationError(f"log level {level!r} is not one of {', '.join(_LEVELS)}")
    if format not in get_args(LogFormat):
        raise ConfigurationError(f"log format {format!r} is not one of 'json', 'console'")
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _KitHandler)]:
        root.removeHandler(handler)
    handler = _KitHandler(sys.stdout if stream is None else stream)
    handler.setFormatter(JsonFormatter() if format == "json" else ConsoleFormatter())
    root.addHandler(handler)
    root.setLevel(level.upper())
    adopt_uvicorn()


def adopt_uvicorn() -> None:
    """Let uvicorn's records go the way of all others.

    Called again when the app starts: uvicorn puts its own handlers in place when it is configured,
    which may be after the app was built.
    """
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.error").addFilter(_NOT_TWICE)
    for name in ("uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).addFilter(_REDACT_QUERY)
    if _ACCESS_IS_OURS in logging.getLogger("uvicorn.access").filters:
        silence_uvicorn_access()


def silence_uvicorn_access() -> None:
    """Stop uvicorn's access lines, for HTTP and for WebSockets: ours take their place."""
    for name in ("uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).addFilter(_ACCESS_IS_OURS)
    # Without handlers uvicorn does not even make the record.
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False


def mark_logged(error: BaseException) -> None:
    """Note that the error has been logged, so that the server's own report of it is dropped."""
    with suppress(Exception):  # a foreign __setattr__ may raise anything
        setattr(error, _SEEN_MARK, True)


class _NotTwice(logging.Filter):
    """Drops the server's report of an exception that was logged with its request's fields."""

    def filter(self, record: logging.LogRecord) -> bool:
        if answered_instead.get() and "without completing handshake" in str(record.msg):
            return False  # uvicorn 0.54 says so of each WebSocket that is answered by HTTP instead
        error = record.exc_info[1] if record.exc_info else None
        return not getattr(error, _SEEN_MARK, False)


def _is_access(record: logging.LogRecord) -> bool:
    # ('%s - "%s %s HTTP/%s" %d', client, method, path with query, HTTP version, status)
    # ('%s - "WebSocket %s" ...', client, path with query)
    return record.name == "uvicorn.access" or str(record.msg).startswith('%s - "WebSocket %s"')


class _AccessIsOurs(logging.Filter):
    """Drops uvicorn's access records, those of WebSockets from its error logger too."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _is_access(record)


class _RedactQuery(logging.Filter):
    """Redacts the query string in uvicorn's access records."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _is_access(record) and isinstance(record.args, tuple):
            record.args = tuple(map(_without_secrets, record.args))
        return True


def _without_secrets(argument: object) -> object:
    if not isinstance(argument, str):
        return argument
    path, mark, query = argument.partition("?")
    return path + mark + redact_query(query)


_NOT_TWICE: Final = _NotTwice()
_ACCESS_IS_OURS: Final = _AccessIsOurs()
_REDACT_QUERY: Final = _RedactQuery()
