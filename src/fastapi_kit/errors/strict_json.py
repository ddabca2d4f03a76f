"""Refuses what Python's JSON parser takes, but JSON is not, or no answer can give back.

``NaN``, ``Infinity``, ``1e999`` and half a surrogate pair pass a parser, a ``dict[str, Any]``, often
a ``float`` or ``str`` too, and fail where the value is written: in an answer or to a database.
"""

import json
import math
import re
from typing import Any, Final

from starlette.types import Message, Receive, Scope

from fastapi_kit._asgi import header
from fastapi_kit.errors.exceptions import UnprocessableError

MAX_DEPTH: Final = 128
"""Levels of arrays and objects in each other; Pydantic cannot write more than 255."""
_MAX_CHECKED: Final = 64 * 2**20  # bytes; a body that is streamed to somewhere need not fit memory
_MARK = "fastapi_kit.strict_json"
BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods whose bodies nobody reads."""

_DIGITS_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_LONG_NUMBER = 200  # digits; with an exponent of two more it can exceed a float


def strictly(scope: Scope, receive: Receive) -> Receive:
    """A ``receive`` that raises UnprocessableError at the end of a JSON body with a flaw."""
    if _MARK in scope or not _is_json(scope):
        return receive
    scope[_MARK] = True  # a mounted app need not do it again
    chunks: list[bytes] = []
    size = 0

    async def receive_strictly() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] != "http.request" or size > _MAX_CHECKED:
            return message
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > _MAX_CHECKED:
            chunks.clear()
        elif not message.get("more_body"):
            body = b"".join(chunks)
            chunks.clear()
            _refuse(flaw_of(body) if is_suspect(body) else None)
        return message

    return receive_strictly


def _is_json(scope: Scope) -> bool:
    content_type = header(scope, b"content-type")
    return content_type is None or "json" in content_type.lower()


def _refuse(flaw: str | None) -> None:
    if flaw is not None:
        raise UnprocessableError(
            "The request is not valid.",
            errors=[{"detail": flaw, "type": "json_invalid", "in": "body", "pointer": "#"}],
        )


def is_suspect(body: bytes) -> bool:
    """Whether a body may have a flaw; costs a fraction of parsing it."""
    if b"NaN" in body or b"Infinity" in body or b"\x00" in body or b"\xed" in body:
        return True  # names, UTF-16, which Python takes too, and UTF-8 that may hold a surrogate
    if b"\\u" in body and _SURROGATE.search(body):
        return True
    alike = body.translate(_DIGITS_ALIKE)
    if b"0e000" in alike or b"0e+000" in alike or b"0" * _LONG_NUMBER in alike:
        return True
    return _may_be_deep(body)


def _may_be_deep(body: bytes) -> bool:
    """Whether brackets lie in each other deeply, or cannot be told from those within texts."""
    brackets = body.translate(None, _NO_BRACKETS)
    for _ in range(MAX_DEPTH // 2):  # each time up to two levels vanish
        if not brackets:
            return False
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(brackets) == before:
            break
    return bool(brackets)


class _FlawError(Exception):
    pass


def _constant(name: str) -> None:
    raise _FlawError(f"{name} is no JSON.")


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _FlawError("A number is too large.")
    return value


def flaw_of(body: bytes) -> str | None:
    """What is wrong with a body; ``None`` for one that is right, or so broken that all see it."""
    try:
        _check(json.loads(body, parse_constant=_constant, parse_float=_float))
    except _FlawError as flaw:
        return str(flaw)
    except RecursionError:
        return _TOO_DEEP
    except ValueError:
        return None
    return None


_TOO_DEEP = f"Arrays and objects lie more than {MAX_DEPTH} levels deep in each other."


def _check(value: Any) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        texts = [item for item in level if isinstance(item, str)]
        objects: list[dict[str, Any]] = [item for item in level if isinstance(item, dict)]
        arrays: list[list[Any]] = [item for item in level if isinstance(item, list)]
        _check_texts(texts + [key for item in objects for key in item])
        if not objects and not arrays:
            return
        level = [inner for item in objects for inner in item.values()]
        level += [inner for item in arrays for inner in item]
    raise _FlawError(_TOO_DEEP)


def _check_texts(texts: list[str]) -> None:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise _FlawError("A text holds half of a surrogate pair.") from None
