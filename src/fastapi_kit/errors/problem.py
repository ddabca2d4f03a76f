"""The body that every error has: problem details for HTTP APIs (RFC 9457)."""

from typing import Any, ClassVar, Literal, cast
from urllib.parse import quote, urljoin

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from fastapi_kit._json import dump, plain
from fastapi_kit.errors.exceptions import RESERVED_MEMBERS, AppError, phrase
from fastapi_kit.logs.context import context_of

PROBLEM_JSON = "application/problem+json"
# RFC 3986 section 3.3: what a path may hold unescaped.
_PATH_SAFE = "/:@!$&'()*+,;=-._~"


class FieldError(BaseModel):
    """One thing that is wrong with the request, and where."""

    model_config: ClassVar[ConfigDict] = ConfigDict(populate_by_name=True)

    detail: str = Field(description="What is wrong, for a person.")
    type: str = Field(description="What is wrong, for a program; stable.")
    in_: Literal["body", "query", "path", "header", "cookie"] = Field(
        alias="in", description="The part of the request."
    )
    pointer: str | None = Field(
        default=None, description="Where in the body: a JSON Pointer as URI fragment (RFC 6901)."
    )
    name: str | None = Field(default=None, description="Which parameter, outside of the body.")


class ProblemDetails(BaseModel):
    """An error, as `application/problem+json` (RFC 9457). Further members may follow."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    type: str = Field(
        default="about:blank", description="URI of the kind of problem; stable, for programs."
    )
    title: str = Field(description="The kind of problem, for a person.")
    status: int = Field(description="The HTTP status.")
    detail: str | None = Field(default=None, description="This occurrence, for a person.")
    instance: str | None = Field(default=None, description="The path that was asked for.")
    request_id: str | None = Field(default=None, description="Names this request in the logs.")
    errors: list[FieldError] | None = Field(
        default=None, description="Each thing that is wrong with the request."
    )


class ProblemResponse(Response):
    """An answer whose body is a problem."""

    media_type = PROBLEM_JSON

    def render(self, content: Any) -> bytes:
        """The problem as UTF-8 JSON."""
        return dump(content)


def problem(
    scope: Scope,
    status: int,
    *,
    type: str = "about:blank",
    title: str | None = None,
    detail: str | None = None,
    members: dict[str, Any] | None = None,
    base_url: str | None = None,
) -> dict[str, Any]:
    """The body of a problem that occurred while this request was served."""
    body: dict[str, Any] = {
        "type": urljoin(base_url, type) if base_url and type != "about:blank" else type,
        "title": title or phrase(status),
        "status": status,
    }
    if detail is not None:
        body["detail"] = detail
    if status < 500:  # a 5xx body holds nothing of the request
        body["instance"] = quote(scope["path"], safe=_PATH_SAFE, errors="replace")
    request_id = context_of(scope).request_id
    if request_id:
        body["request_id"] = request_id
    body.update(members or {})
    return body


def problem_of(scope: Scope, error: HTTPException, base_url: str | None) -> dict[str, Any]:
    """The body for an HTTPException, ours or another's."""
    if isinstance(error, AppError):
        return problem(
            scope,
            error.status_code,
            type=error.type,
            title=error.title,
            detail=str(error.detail),
            members=error.members,
            base_url=base_url,
        )
    if error.status_code >= 500:
        # `HTTPException(500, detail=str(error))` is a common habit that tells clients SQL and paths.
        return problem(scope, error.status_code, base_url=base_url)
    detail, members = _split_detail(error.detail)
    return problem(scope, error.status_code, detail=detail, members=members, base_url=base_url)


def _split_detail(detail: object) -> tuple[str | None, dict[str, Any]]:
    if isinstance(detail, str) or detail is None:
        return detail, {}
    if not isinstance(detail, dict):
        return None, {"context": plain(detail)}
    members = plain(cast("dict[object, object]", detail))
    text = members.pop("detail", None)
    if text is not None and not isinstance(text, str):
        members["context"], text = text, None
    return text, {key: value for key, value in members.items() if key not in RESERVED_MEMBERS}
