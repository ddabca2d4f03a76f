"""Log records as lines: one valid line whatever the record holds."""

import json
import logging
import time
import traceback
from collections.abc import Callable
from functools import partial
from math import floor
from typing import Any, Literal, cast, get_args

import pydantic_core

from fastapi_kit._json import describe, plain, text
from fastapi_kit._misuse import ConfigurationError, MissingExtraError
from fastapi_kit.logs.access import ACCESS_FIELDS, ACCESS_LOGGER
from fastapi_kit.logs.context import current
from fastapi_kit.logs.redaction import loggable, redact_text

try:
    import orjson
except ImportError:  # pragma: no cover  # the extra `fast` is optional
    orjson = None  # type: ignore[assignment]

Encoder = Literal["orjson", "json"]

# What the standard library sets; everything else on a record came by `extra=`.
_STANDARD = frozenset(
    {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", "color_message"}
)
_OWN = frozenset({"timestamp", "level", "logger", "message", "request_id"})
_to_ascii = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

# Control characters forge lines and drive terminals (CWE-117); JSON escapes them by itself.
_ESCAPES = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        # Separators of lines and paragraphs; what reverses the direction of writing.
        *(0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)),
    )
} | {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}


# Looked up, because formatting a number costs five times as much.
_MILLISECONDS = [f".{number:03d}Z" for number in range(1000)]


class _Clock:
    """Formats times as RFC 3339 in UTC; the part down to the second is made once a second."""

    def __init__(self) -> None:
        # One attribute, so that threads never see halves of two.
        self._made = self._make(0)

    def show(self, created: float) -> str:
        second, prefix = self._made
        try:
            # Floats alone: compared with integers they cost twice.
            if not 0.0 <= created - second < 1.0:
                second, prefix = self._made = self._make(created)
            return prefix + _MILLISECONDS[int(created * 1000) % 1000]
        except (TypeError, ValueError, OverflowError, OSError):  # no time, or none of this era
            return self.show(time.time())

    @staticmethod
    def _make(created: float) -> tuple[float, str]:
        second = float(floor(created))
        return second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def message_of(record: logging.LogRecord) -> str:
    """The record's message, even where its arguments do not fit or cannot be printed."""
    try:
        message: Any = record.getMessage()
    except Exception:  # noqa: BLE001  # bad arguments and foreign __str__ may raise anything
        message = f"{describe(record.msg)} % {describe(record.args)}"
    return redact_text(text(message) if isinstance(message, str) else describe(message))


def stack_of(record: logging.LogRecord) -> str | None:
    """The record's traceback or stack as text, if it has one."""
    parts: list[str] = []
    error = _error_of(record)
    if error is not None:
        try:
            parts.append("".join(traceback.format_exception(error)).rstrip())
        except Exception:  # noqa: BLE001  # an exception's own attributes may raise anything
            parts.append(f"<unprintable {type(error).__name__}>")
    elif record.exc_text:
        parts.append(str(record.exc_text))
    if record.stack_info:
        parts.append(str(record.stack_info))
    return redact_text(text("\n".join(parts))) if parts else None


def _error_of(record: logging.LogRecord) -> BaseException | None:
    found: Any = record.exc_info  # declared a tuple; whoever makes records may do otherwise
    if isinstance(found, tuple):
        found = cast("tuple[object, ...]", found)[1:2]
        found = found[0] if found else None
    return found if isinstance(found, BaseException) else None


def _access_fields(record: logging.LogRecord) -> dict[str, Any] | None:
    fields: dict[str, Any] | None = getattr(record, ACCESS_FIELDS, None)
    return fields if record.name == ACCESS_LOGGER else None


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields of the record and of its request."""
    context = current.get()
    fields: dict[str, Any] = dict(context.fields) if context is not None else {}
    access = _access_fields(record)
    if access is not None:
        fields.update(access)
        return fields
    extra = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
    if extra:
        fields.update(loggable(extra))
    return fields


class JsonFormatter(logging.Formatter):
    """Formats each record as one JSON object on one line of ASCII.

    ``timestamp``, ``level``, ``logger``, ``message``, ``request_id``, then the fields given by
    ``extra=`` and `add_log_fields`, and ``exception.type``, ``exception.stacktrace`` where there is
    one. A field with the name of a standard one appears as ``extra.<name>``.

    Args:
        encoder: ``"json"`` for what every installation has; ``"orjson"`` for the faster one of the
            extra ``fast``; ``None`` for orjson where it is installed. What the kit logs gives equal
            objects by both.

    Raises:
        ConfigurationError: The encoder is none of these.
        MissingExtraError: orjson is asked for and not installed.
    """

    def __init__(self, *, encoder: Encoder | None = None) -> None:
        super().__init__()
        self._clock = _Clock()
        self._dumps = _encoder(encoder)

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a line break."""
        try:
            access = _access_fields(record)
            line = self._line(record) if access is None else self._access_line(record, access)
        except Exception as error:  # noqa: BLE001  # a line that says little beats a lost one
            line = {
                "timestamp": self._clock.show(time.time()),
                "level": "ERROR",
                "logger": __name__,
                "message": _unformatted(error),
            }
        try:
            encoded = self._dumps(line)
            # ASCII stays whole on any stream, and holds no separator that splits lines (U+2028).
            return encoded.decode() if encoded.isascii() else _to_ascii(line)
        except Exception:  # noqa: BLE001  # the line holds what JSON cannot
            return _to_ascii(plain(line))

    def _access_line(self, record: logging.LogRecord, access: dict[str, Any]) -> dict[str, Any]:
        # Made by us of clean values, a few thousand times a second: nothing to look for.
        context = current.get()
        line: dict[str, Any] = {
            "timestamp": self._clock.show(record.created),
            "level": record.levelname,
            "logger": ACCESS_LOGGER,
            "message": record.msg,
        }
        if context is not None:
            if context.request_id:
                line["request_id"] = context.request_id
            if context.fields:
                _add(line, dict(context.fields))
        line.update(access)
        return line

    def _line(self, record: logging.LogRecord) -> dict[str, Any]:
        context = current.get()
        line: dict[str, Any] = {
            "timestamp": self._clock.show(record.created),
            "level": loggable(record.levelname),
            "logger": loggable(record.name),
            "message": message_of(record),
        }
        if context is not None and context.request_id:
            line["request_id"] = context.request_id
        _add(line, fields_of(record))
        error = _error_of(record)
        if error is not None:
            line["exception.type"] = type(error).__qualname__
        stack = stack_of(record)
        if stack is not None:
            line["exception.stacktrace"] = stack
        return line


def _add(line: dict[str, Any], fields: dict[str, Any]) -> None:
    for key, value in fields.items():
        line[f"extra.{key}" if key in _OWN else key] = value


def _unformatted(error: Exception) -> str:
    return f"A log record could not be formatted: {type(error).__qualname__}"


def _encoder(name: Encoder | None) -> Callable[[dict[str, Any]], bytes]:
    if name is not None and name not in get_args(Encoder):
        raise ConfigurationError(f"encoder={name!r} is not one of 'orjson', 'json'")
    if name == "json" or (name is None and orjson is None):  # pragma: no branch
        # Pydantic's, in a quarter of the time that the standard library's takes.
        return partial(pydantic_core.to_json, inf_nan_mode="null")
    if orjson is None:  # pragma: no cover  # the extra is there in tests
        raise MissingExtraError("encoder='orjson'", package="orjson", extra="fast")
    return orjson.dumps


# What a person reads in the access line's message, or does not miss in development.
_NOT_ON_CONSOLE = frozenset(
    {
        "client.address",
        "duration_ms",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "span_id",
        "trace_id",
        "url.path",
        "url.query",
    }
)


class ConsoleFormatter(logging.Formatter):
    """Formats records for a person at a terminal: one line, then the traceback indented.

    An access line is short: method, path with query, status and duration, the request's id, and
    what `add_log_fields` added. The rest of its fields is for `JsonFormatter`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a line break at its end."""
        try:
            return self._lines(record)
        except Exception as error:  # noqa: BLE001  # a line that says little beats a lost one
            return f"{_local_time(time.time())} ERROR    {__name__}: {_unformatted(error)}"

    def _lines(self, record: logging.LogRecord) -> str:
        moment = _local_time(record.created)
        level, name = str(loggable(record.levelname)), loggable(record.name)
        access = _access_fields(record)
        message = message_of(record) if access is None else _in_short(access)
        parts = [f"{moment} {level:<8} {name}: {message}"]
        context = current.get()
        if context is not None and context.request_id:
            parts.append(f"request_id={context.request_id}")
        hidden = frozenset[str]() if access is None else _NOT_ON_CONSOLE
        fields = fields_of(record).items()
        parts += [f"{key}={value}" for key, value in fields if key not in hidden]
        line = text("  ".join(parts)).translate(_ESCAPES)
        stack = stack_of(record)
        if stack is None:
            return line
        rest = (part.translate(_ESCAPES) for part in stack.splitlines())
        return "\n    ".join([line, *rest])


def _in_short(access: dict[str, Any]) -> str:
    target = "?".join(access[key] for key in ("url.path", "url.query") if key in access)
    status = access.get("http.response.status_code", "-")
    return f"{access['http.request.method']} {target} {status} in {access['duration_ms']:.1f} ms"


def _local_time(seconds: float) -> str:
    try:
        return time.strftime("%H:%M:%S", time.localtime(seconds))
    except (TypeError, ValueError, OverflowError, OSError):
        return "--:--:--"
