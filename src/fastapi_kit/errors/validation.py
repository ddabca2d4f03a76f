"""Validation errors as members of a problem: where and what, never the input."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, cast, get_args
from urllib.parse import quote

from pydantic_core.core_schema import ErrorType

from fastapi_kit._json import plain, text

_PARTS = frozenset({"body", "query", "path", "header", "cookie"})
_MAX_ERRORS = 100
_MAX_POINTER = 256
_SHORT = 2  # characters; "at least 10" does not repeat an input of 1
_TRUNCATED = 12  # characters at which a message that cuts its input is recognised
_FRAGMENT_SAFE = "~!$&'()*+,;=:@-._"  # RFC 3986 section 3.5
_GENERIC = "The value is not valid."
# The only messages of Pydantic's own that repeat a part of the input at length.
_ECHOING = frozenset({"value_error", "assertion_error"})


def field_errors(errors: Sequence[Mapping[str, Any]], body: object = None) -> list[dict[str, str]]:
    """What a client may know of Pydantic's errors.

    Args:
        errors: As `RequestValidationError.errors()` gives them.
        body: The request's, to point into it.
    """
    return [_field_error(error, body) for error in errors[:_MAX_ERRORS]]


def _field_error(error: Mapping[str, Any], body: object) -> dict[str, str]:
    where, *rest = error.get("loc") or ("body",)
    if where not in _PARTS:  # raised by the app's own code with a location of its own making
        where, rest = "body", [where, *rest]
    found = {"detail": _message(error), "type": text(str(error.get("type", "value_error")))}
    if where != "body":
        return {**found, "in": where, "name": text(".".join(map(str, rest)))[:_MAX_POINTER]}
    if error.get("type") == "json_invalid" and len(rest) == 1:  # an offset, no member
        rest = []
    return {**found, "in": "body", "pointer": _pointer(_members(rest, error, body))}


def _members(parts: Sequence[Any], error: Mapping[str, Any], body: object) -> Iterator[object]:
    """The parts of a location that are members of the body.

    Between them Pydantic names the branches of unions and the validators that it went through.
    """
    inside: Any = body
    for index, part in enumerate(parts):
        if _is_member(part, inside):
            inside = inside[part]
            yield part
        elif body is None or (index == len(parts) - 1 and _is_absent(error, inside)):
            yield part


def _is_member(part: object, inside: Any) -> bool:
    if isinstance(inside, Mapping):
        return part in inside
    return (
        isinstance(inside, list) and isinstance(part, int) and 0 <= part < len(cast("Any", inside))
    )


def _is_absent(error: Mapping[str, Any], inside: object) -> bool:
    """Whether the last part of a location is a member that should have been there."""
    if not isinstance(inside, Mapping):
        return False
    return error.get("type") == "missing" or error.get("input") is not inside


def _pointer(parts: Iterable[object]) -> str:
    """RFC 6901 section 6: as a URI fragment."""
    pointer = "#"
    for part in parts:
        escaped = text(str(part)).replace("~", "~0").replace("/", "~1")
        longer = f"{pointer}/{quote(escaped, safe=_FRAGMENT_SAFE)}"
        if len(longer) > _MAX_POINTER:
            break
        pointer = longer
    return pointer


def _message(error: Mapping[str, Any]) -> str:
    kind, message = str(error.get("type")), text(str(error.get("msg", _GENERIC)))
    if kind == "union_tag_invalid" and "ctx" in error:  # whose own message repeats the tag
        context = error["ctx"]
        return f"{context['discriminator']} should be one of {context['expected_tags']}"
    if kind in _own_types() and kind not in _ECHOING:
        return message
    # Written by the app's validators: often right for the client, unless it repeats the input,
    # as `int("hunter2")` does.
    told = message.casefold()
    if any(part in told for part in _scalars(error.get("input"))):
        return _GENERIC
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")


@cache
def _own_types() -> frozenset[str]:
    return frozenset(get_args(ErrorType))


def _scalars(value: object, depth: int = 4) -> Iterator[str]:
    """The values in an input that a message could repeat; `""`, which any holds, if too many."""
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value)
        yield from _scalars([*members, *members.values()], depth)
    elif isinstance(value, list | tuple | set | frozenset):
        items = cast("Collection[object]", value)
        if not depth or len(items) > 2 * _MAX_ERRORS:
            yield ""
        else:
            yield from chain.from_iterable(_scalars(item, depth - 1) for item in items)
    elif value is not None and not isinstance(value, bool):
        shown = str(plain(value))
        for form in (shown, shown.strip(), repr(shown)[1:-1]):
            if len(form) > _SHORT:
                yield form.casefold()[:_TRUNCATED]
