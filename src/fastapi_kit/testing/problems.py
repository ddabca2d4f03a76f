"""What a test expects of a problem (RFC 9457)."""

from collections.abc import Mapping
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

MEDIA_TYPE = "application/problem+json"


class ResponseLike(Protocol):
    """What `assert_problem` reads of a response; HTTPX's and Starlette's test client's fit."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, found in any case."""
        ...

    @property
    def text(self) -> str:
        """The body as text."""
        ...

    def json(self) -> Any:
        """The body as JSON."""
        ...


def assert_problem(
    response: ResponseLike,
    status: int,
    *,
    type: str | None = None,  # RFC 9457's name for it
    title: str | None = None,
    detail: str | None = None,
    **members: Any,
) -> dict[str, Any]:
    """The body of a response that is this problem; all that differs fails the test at once.

    Status, media type and the standard members (RFC 9457 section 3.1) are always checked.

    Args:
        response: Of HTTPX or Starlette's ``TestClient``.
        status: HTTP status, which the body has to repeat.
        type: The problem type's URI; a path such as ``/problems/out-of-stock`` also fits
            an absolute URI with that path. ``None``: any.
        title: ``None``: any.
        detail: ``None``: any.
        **members: Any other members and their values, such as ``errors=[...]``.

    Raises:
        AssertionError: Something differs; the message lists it all and shows the body.
    """
    __tracebackhide__ = True  # pytest then points at the test's own line
    body = _body(response)
    found = [] if response.status_code == status else [f"status is {response.status_code}"]
    content_type = response.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != MEDIA_TYPE:
        found.append(f"content-type is {content_type!r}, not {MEDIA_TYPE!r}")
    if body is None:
        found.append("the body is no JSON object")
    else:
        expected = {"status": status, "type": type, "title": title, "detail": detail}
        given = {key: value for key, value in expected.items() if value is not None}
        found += _differences(body, {**given, **members})
    if body is None or found:
        listed = "\n".join(f"- {line}" for line in found)
        raise AssertionError(f"expected problem {status}, but:\n{listed}\nbody: {response.text}")
    return body


def _body(response: ResponseLike) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return cast("dict[str, Any]", body) if isinstance(body, dict) else None


def _differences(body: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    found = [
        f"{name} is {body.get(name)!r}, not a string"
        for name in ("type", "title")
        if not isinstance(body.get(name), str)
    ]
    for name, value in expected.items():
        if name not in body:
            found.append(f"{name} is absent, not {value!r}")
        elif not _same(name, body[name], value):
            found.append(f"{name} is {body[name]!r}, not {value!r}")
    return found


def _same(name: str, actual: Any, expected: Any) -> bool:
    if name == "type" and isinstance(actual, str) and expected.startswith("/"):
        return urlsplit(actual).path == str(expected)
    return bool(actual == expected)
