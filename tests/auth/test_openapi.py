"""What OpenAPI tells of log-in, guards and scopes, and what its builder finds on dependencies."""

from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI

from fastapi_kit import auth as package
from fastapi_kit.auth import (
    InvalidTokenError,
    NotAllowedError,
    NotAuthenticatedError,
    permissions,
    roles,
    scopes,
)
from tests.auth.accounts import SCOPES, make_app, make_auth

AUTH = make_auth()


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return make_app(AUTH).openapi()


def test_the_scheme_names_token_url_and_scopes(schema: dict[str, Any]) -> None:
    assert schema["components"]["securitySchemes"] == {
        "OAuth2PasswordBearer": {
            "type": "oauth2",
            "flows": {"password": {"scopes": SCOPES, "tokenUrl": "/auth/token"}},
        }
    }


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("get", "/me", []),
        ("get", "/maybe", []),
        ("get", "/admin", []),
        ("post", "/items", ["items:write"]),
    ],
)
def test_a_route_names_the_scopes_it_needs(
    schema: dict[str, Any], method: str, path: str, needed: list[str]
) -> None:
    operation = schema["paths"][path][method]

    assert operation["security"] == [{"OAuth2PasswordBearer": needed}]
    assert "parameters" not in operation


def test_the_token_route_shows_form_answer_and_error(schema: dict[str, Any]) -> None:
    operation = schema["paths"]["/auth/token"]["post"]

    form = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert form["required"] == ["grant_type", "username", "password"]
    assert operation["responses"].keys() == {"200", "400", "429", "503"}
    assert "security" not in operation


async def get_nothing() -> None: ...


def test_two_auths_are_two_schemes() -> None:
    app = FastAPI()
    for name in ("staff", "customers"):
        auth = make_auth(scheme_name=name, token_url=f"/{name}/token")
        router = APIRouter(prefix=f"/{name}", dependencies=[Depends(auth.current_user)])
        router.add_api_route("/", get_nothing)
        app.include_router(router)

    schemes = app.openapi()["components"]["securitySchemes"]

    assert schemes.keys() == {"staff", "customers"}


def test_each_dependency_says_what_it_raises() -> None:
    assert AUTH.current_user.raises == (NotAuthenticatedError, InvalidTokenError)
    assert AUTH.optional_user.raises == (InvalidTokenError,)
    assert AUTH.require(roles("a")).raises == (
        NotAuthenticatedError,
        InvalidTokenError,
        NotAllowedError,
    )


def test_each_dependency_describes_itself() -> None:
    requirement = scopes("items:write") & (roles("editor") | permissions("catalog"))

    assert AUTH.require(roles("admin")).description == "Requires role admin."
    assert AUTH.require(requirement).description == (
        "Requires (permission catalog or role editor) and scope items:write."
    )
    assert AUTH.current_user.description == "Requires an access token."
    assert AUTH.optional_user.description == "Accepts an access token."


def test_each_error_has_a_type_of_its_own() -> None:
    errors = (NotAuthenticatedError, InvalidTokenError, NotAllowedError)

    assert [error.type for error in errors] == [
        "/problems/not-authenticated",
        "/problems/invalid-token",
        "/problems/not-allowed",
    ]


def test_the_package_exports_what_it_names_in_order() -> None:
    assert package.__all__ == sorted(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)
