"""Any Python value as JSON that a log line or a problem may hold: never raises, never leaks."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from typing import Any, cast

import pydantic_core

_MAX_DEPTH = 8
_MAX_SAFE_INT = 2**63 - 1  # beyond 64 bits, other languages' parsers fail or round
_PAIR = 2

_CONTAINERS = (Mapping, list, tuple, set, frozenset)

JSONValue = Any


def text(value: str) -> str:
    """The string with lone surrogates, which UTF-8 cannot carry, replaced."""
    value = str.__str__(value)  # a subclass may do as it likes
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode()
    return value


def describe(value: object) -> str:
    """A value's ``repr``, even where that raises."""
    try:
        return text(repr(value))
    except Exception:  # noqa: BLE001  # a foreign __repr__ may raise anything
        return f"<unprintable {type(value).__name__}>"


def plain(
    value: object,
    *,
    redact: Callable[[str], bool] = lambda _: False,
    clean: Callable[[str], str] = text,
    depth: int = _MAX_DEPTH,
) -> JSONValue:
    """The value as strings, numbers, lists and dicts that every JSON encoder accepts.

    Args:
        value: Anything.
        redact: Tells by a mapping's key, or by the first of a pair, whether its value is secret.
        clean: Applied to every text; must remove lone surrogates.
        depth: Levels of nesting kept; what lies deeper is left out.
    """
    try:
        return _plain(value, redact, clean, depth)
    except Exception:  # noqa: BLE001  # a foreign class may raise anything wherever it is asked
        return f"<unprintable {type(value).__name__}>"


def _plain(
    value: object, redact: Callable[[str], bool], clean: Callable[[str], str], depth: int
) -> JSONValue:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int):
        return _number(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, date | time):
        return value.isoformat()
    if not isinstance(value, _CONTAINERS):
        return clean(_shown(value))
    if not depth:
        return f"<{type(cast('object', value)).__name__} nested too deeply>"
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value)
        names = {_name(key, clean): item for key, item in members.items()}
        return {name: _member(name, item, redact, clean, depth) for name, item in names.items()}
    items = list(cast("Iterable[object]", value))
    if len(items) == _PAIR and isinstance(items[0], str | bytes):  # as headers are kept
        name = _name(items[0], clean)
        return [name, _member(name, items[1], redact, clean, depth)]
    return [plain(item, redact=redact, clean=clean, depth=depth - 1) for item in items]


def _member(
    name: str, value: object, redact: Callable[[str], bool], clean: Callable[[str], str], depth: int
) -> JSONValue:
    if redact(name):
        return "[redacted]"
    return plain(value, redact=redact, clean=clean, depth=depth - 1)


def _name(key: object, clean: Callable[[str], str]) -> str:
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    return clean(key if isinstance(key, str) else describe(key))


def _number(value: int) -> int | str:
    exact = int.__int__(value)
    if -_MAX_SAFE_INT - 1 <= exact <= _MAX_SAFE_INT:
        return exact
    try:
        return str(exact)
    except ValueError:  # longer than sys.get_int_max_str_digits()
        return hex(exact)


def _shown(value: object) -> str:
    try:
        return text(str(value))
    except Exception:  # noqa: BLE001  # a foreign __str__ may raise anything
        return describe(value)


def dump(value: object) -> bytes:
    """The value as UTF-8 JSON; what JSON cannot hold is replaced, never refused."""
    try:
        return pydantic_core.to_json(value, inf_nan_mode="null")
    except Exception:  # noqa: BLE001  # a foreign serialiser may raise anything
        return pydantic_core.to_json(plain(value))
