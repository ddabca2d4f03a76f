"""Error classes, and the bodies that HTTPExceptions become."""

from typing import Any, cast

import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException

from fastapi_kit.errors import (
    AppError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    MissingExtraError,
    NotFoundError,
    ProblemDetails,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
    UnprocessableError,
    add_error_handlers,
)
from fastapi_kit.middleware import RequestIdMiddleware
from tests.logs.capture import LogOutput, client_of, get


class OutOfStock(AppError):  # noqa: N818
    """Nothing is left of it."""

    status_code = 409
    type = "/problems/out-of-stock"
    title = "Out of stock"


def app_raising(error: Exception, **options: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/items/{name}")
    async def read(name: str) -> None:
        raise error

    add_error_handlers(app, **options)
    return app


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (AppError(), 400, "Bad Request"),
        (BadRequestError(), 400, "Bad Request"),
        (UnauthorizedError(), 401, "Unauthorized"),
        (ForbiddenError(), 403, "Forbidden"),
        (NotFoundError(), 404, "Not Found"),
        (ConflictError(), 409, "Conflict"),
        (UnprocessableError(), 422, "Unprocessable Content"),
        (TooManyRequestsError(), 429, "Too Many Requests"),
        (AppError(status_code=413), 413, "Content Too Large"),
        (AppError(status_code=499), 499, "Error"),
    ],
    ids=lambda value: repr(value) if isinstance(value, AppError) else "",
)
async def test_each_error_has_its_status_and_the_status_phrase(
    error: AppError, status: int, title: str
) -> None:
    response = await get(app_raising(error), "/items/a")

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": title,
        "instance": "/items/a",
    }


async def test_a_subclass_tells_its_type_and_title_and_the_members_given() -> None:
    response = await get(app_raising(OutOfStock("None left", available=0)), "/items/a")

    assert response.json() == {
        "type": "/problems/out-of-stock",
        "title": "Out of stock",
        "status": 409,
        "detail": "None left",
        "instance": "/items/a",
        "available": 0,
    }


async def test_a_body_is_a_problem_details() -> None:
    response = await get(app_raising(OutOfStock("None left", available=0)), "/items/a")

    problem = ProblemDetails.model_validate(response.json())

    assert problem.title == "Out of stock"
    assert problem.model_extra == {"available": 0}


@pytest.mark.parametrize(
    ("base", "type"),
    [
        ("https://example.com", "https://example.com/problems/out-of-stock"),
        ("https://example.com/docs/", "https://example.com/problems/out-of-stock"),
        (None, "/problems/out-of-stock"),
    ],
)
async def test_a_relative_type_is_joined_to_the_base(base: str | None, type: str) -> None:
    response = await get(app_raising(OutOfStock(), problem_base_url=base), "/items/a")

    assert response.json()["type"] == type


async def test_the_base_leaves_about_blank_alone() -> None:
    app = app_raising(NotFoundError(), problem_base_url="https://example.com")

    response = await get(app, "/items/a")

    assert response.json()["type"] == "about:blank"


def test_without_detail_the_default_detail_is_told() -> None:
    class Closed(AppError):  # noqa: N818
        title = "Closed"
        default_detail = "We are closed today."

    assert Closed().detail == "We are closed today."
    assert Closed("At lunch").detail == "At lunch"
    assert OutOfStock().detail == "Out of stock"


def test_the_repr_tells_class_status_and_detail() -> None:
    assert repr(OutOfStock("None left")) == "OutOfStock(status_code=409, detail='None left')"


@pytest.mark.parametrize("status", [0, 200, 302, 399, 600])
def test_a_status_that_is_no_error_is_refused(status: int) -> None:
    with pytest.raises(ConfigurationError, match=f"status_code={status} of AppError"):
        AppError(status_code=status)


@pytest.mark.parametrize("member", ["type", "title", "status", "instance", "request_id"])
def test_a_member_with_a_standard_name_is_refused(member: str) -> None:
    with pytest.raises(ConfigurationError, match=f"\\['{member}'\\] are standard members"):
        AppError(**cast("Any", {member: "x"}))


def test_a_missing_extra_is_named() -> None:
    error = MissingExtraError("X", package="orjson", extra="fast")

    assert isinstance(error, ImportError)
    assert str(error) == (
        "X needs the package 'orjson', which is not installed. "
        "Install it with the extra: fastapi-kit[fast]"
    )


async def test_unauthorized_carries_a_challenge() -> None:
    plain = await get(app_raising(UnauthorizedError()), "/items/a")
    basic = await get(
        app_raising(UnauthorizedError(challenge='Basic realm="x"', headers={"X-Why": "y"})),
        "/items/a",
    )

    assert plain.headers["www-authenticate"] == "Bearer"
    assert basic.headers["www-authenticate"] == 'Basic realm="x"'
    assert basic.headers["x-why"] == "y"


async def test_unprocessable_tells_what_is_wrong_where() -> None:
    errors = [{"detail": "Taken.", "type": "taken", "in": "body", "pointer": "#/email"}]

    response = await get(app_raising(UnprocessableError(errors=errors)), "/items/a")

    assert response.json()["errors"] == errors


@pytest.mark.parametrize("error", [TooManyRequestsError, ServiceUnavailableError])
async def test_retry_after_is_sent_where_it_is_known(error: Any) -> None:
    known = await get(app_raising(error(retry_after_seconds=0, headers={"X-A": "1"})), "/items/a")
    unknown = await get(app_raising(error()), "/items/a")

    assert known.headers["retry-after"] == "0"
    assert known.headers["x-a"] == "1"
    assert "retry-after" not in unknown.headers


@pytest.mark.parametrize(
    ("value", "sent"), [("a\r\nX-Evil: b", "a  X-Evil: b"), ("\r\n5 €\0", "5 ?"), ("é", "é")]
)
async def test_a_header_with_what_a_client_sent_is_no_500(value: str, sent: str) -> None:
    error = HTTPException(409, headers={"X-Why": value})

    response = await get(app_raising(error), "/items/a")

    assert response.status_code == 409
    assert dict(response.headers.raw)[b"x-why"] == sent.encode("latin-1")


async def test_an_app_without_handlers_answers_the_right_status_too() -> None:
    app = FastAPI()

    @app.get("/")
    async def read() -> None:
        raise UnauthorizedError("Log in first", hint="unseen")

    response = await get(app)

    assert response.status_code == 401
    assert response.json() == {"detail": "Log in first"}
    assert response.headers["www-authenticate"] == "Bearer"


async def test_members_that_json_cannot_hold_are_described() -> None:
    members: dict[str, Any] = {
        "a": float("nan"),
        "b": 2**70,
        "c": "\ud800",
        "d": object,
        "e": {1: {2: b"\xff"}},
    }

    response = await get(app_raising(ConflictError(**members)), "/items/a")

    body = response.json()
    assert response.status_code == 409
    assert (body["a"], body["b"], body["c"]) == ("nan", str(2**70), "?")
    assert body["d"] == "<class 'object'>"


async def test_the_request_id_is_in_the_body() -> None:
    app = app_raising(NotFoundError())
    app.add_middleware(RequestIdMiddleware)

    response = await get(app, "/items/a", headers={"X-Request-ID": "abc-1"})

    assert response.json()["request_id"] == response.headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("/items/a?token=secret", "/items/a"),
        ("/items/%C3%A9%20%22%3C", "/items/%C3%A9%20%22%3C"),
        ("/items/a%0D%0Ab", "/items/a%0D%0Ab"),
        ("/items/a:@!$&'()*+,;=-._~", "/items/a:@!$&'()*+,;=-._~"),
    ],
)
async def test_instance_is_the_path_without_query_as_a_uri(path: str, instance: str) -> None:
    response = await get(app_raising(NotFoundError()), path)

    assert response.json()["instance"] == instance


async def test_a_lone_surrogate_in_the_path_does_no_harm() -> None:
    app = app_raising(NotFoundError())
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("nothing to receive")  # pragma: no cover

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/items/\ud800", "headers": []}
    await app({**scope, "query_string": b"", "root_path": ""}, receive, send)

    assert sent[0]["status"] == 404
    assert b'"instance":"/items/%3F"' in sent[1]["body"]


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("No such item", {"detail": "No such item"}),
        (None, {"detail": "Not Found"}),
        ({"detail": "Gone", "since": 3}, {"detail": "Gone", "since": 3}),
        ({"code": "E7", "status": 1, "type": "x"}, {"code": "E7"}),
        ({"detail": ["a"], "b": 1}, {"context": ["a"], "b": 1}),
        (["a", {"b": 1}], {"context": ["a", {"b": 1}]}),
        (7, {"context": 7}),
    ],
    ids=repr,
)
async def test_any_detail_of_an_http_exception_finds_its_place(
    detail: Any, expected: dict[str, Any]
) -> None:
    response = await get(app_raising(HTTPException(404, detail)), "/items/a")

    standard = {"type": "about:blank", "title": "Not Found", "status": 404}
    assert response.json() == {**standard, "instance": "/items/a", **expected}


async def test_the_headers_of_an_http_exception_are_kept() -> None:
    error = HTTPException(404, headers={"X-Reason": "old", "Content-Type": "text/plain"})

    response = await get(app_raising(error), "/items/a")

    assert response.headers["x-reason"] == "old"
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("status", [204, 205, 302, 304])
async def test_a_status_without_body_gets_none(status: int) -> None:
    error = HTTPException(status, headers={"Location": "/there"})

    response = await get(app_raising(error), "/items/a")

    assert response.status_code == status
    assert response.content == b""
    assert response.headers["location"] == "/there"


async def test_the_detail_of_a_foreign_5xx_is_logged_not_told(log_output: LogOutput) -> None:
    error = HTTPException(502, "SELECT * FROM users failed")

    response = await get(app_raising(error), "/items/a")

    assert response.json() == {"type": "about:blank", "title": "Bad Gateway", "status": 502}
    [line] = log_output.errors
    assert line["message"] == "HTTPException: SELECT * FROM users failed"
    assert line["exception.type"] == "HTTPException"


async def test_an_exception_kept_as_a_constant_is_logged_each_time(log_output: LogOutput) -> None:
    app = app_raising(HTTPException(503))

    for _ in range(3):
        await get(app, "/items/a")

    assert len(log_output.errors) == 3


async def test_an_error_of_ours_with_5xx_tells_its_detail(log_output: LogOutput) -> None:
    error = ServiceUnavailableError("The shop opens at nine.")

    response = await get(app_raising(error), "/items/secret")

    assert response.json()["detail"] == "The shop opens at nine."
    assert "instance" not in response.json()
    assert len(log_output.errors) == 1


async def test_an_unknown_path_is_a_problem() -> None:
    response = await get(app_raising(AppError()), "/nowhere")

    assert response.status_code == 404
    assert response.json()["title"] == "Not Found"
    assert response.json()["instance"] == "/nowhere"


@pytest.mark.parametrize("method", ["POST", "DELETE", "HEAD", "OPTIONS"])
async def test_an_unknown_method_is_a_problem_and_tells_those_allowed(method: str) -> None:
    async with client_of(app_raising(AppError())) as client:
        response = await client.request(method, "/items/a")

    assert response.status_code == 405
    assert response.headers["allow"] == "GET"
    assert response.headers["content-type"] == "application/problem+json"


async def test_an_apps_own_later_handler_wins() -> None:
    from starlette.responses import PlainTextResponse

    app = app_raising(NotFoundError())

    async def mine(request: Any, error: Any) -> PlainTextResponse:
        return PlainTextResponse("mine", 404)

    app.add_exception_handler(NotFoundError, mine)

    assert (await get(app, "/items/a")).text == "mine"
