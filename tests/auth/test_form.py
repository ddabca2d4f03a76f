"""What the token endpoint accepts and answers: RFC 6749 sections 3.2, 4.3 and 5."""

from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.auth.accounts import HASHER, Accounts, User, client_of, make_app, make_auth

PASSWORD = "correct horse battery staple"
FORM = {"grant_type": "password", "username": "ann", "password": PASSWORD}
TYPE = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def accounts() -> Accounts:
    stored = await HASHER.hash(PASSWORD)
    return Accounts([User(1, "ann", password_hash=stored, scopes=frozenset({"items:read"}))])


async def post(accounts: Accounts, body: bytes | str, **headers: str) -> httpx.Response:
    async with client_of(make_app(make_auth(accounts))) as client:
        return await client.post("/auth/token", content=body, headers={**TYPE, **headers})


def refused(response: httpx.Response, error: str) -> None:
    body = response.json()
    assert (response.status_code, body["error"]) == (400, error)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"


async def test_a_right_password_gives_a_token(accounts: Accounts) -> None:
    response = await post(accounts, urlencode(FORM))

    body = response.json()
    assert response.status_code == 200
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("bearer", 1800, "")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"


async def test_the_token_is_the_users(accounts: Accounts) -> None:
    auth = make_auth(accounts)
    async with client_of(make_app(auth)) as client:
        token = (await client.post("/auth/token", data=FORM)).json()["access_token"]

        response = await client.get("/me", headers={"Authorization": f"Bearer {token}"})

    assert response.json() == 1


async def test_a_scope_the_user_may_not_have_is_left_out(accounts: Accounts) -> None:
    response = await post(accounts, urlencode({**FORM, "scope": "items:read items:write"}))

    assert response.json()["scope"] == "items:read"


async def test_a_user_without_a_bound_gets_what_they_ask_for(accounts: Accounts) -> None:
    accounts.rows[0].scopes = None

    response = await post(accounts, urlencode({**FORM, "scope": "items:write"}))

    assert response.json()["scope"] == "items:write"


async def test_default_scopes_are_for_those_who_ask_for_none(accounts: Accounts) -> None:
    auth = make_auth(accounts, default_scopes=["items:read"])
    async with client_of(make_app(auth)) as client:
        response = await client.post("/auth/token", data={**FORM, "scope": ""})

    assert response.json()["scope"] == "items:read"


@pytest.mark.parametrize("scope", ["items:fly", "items:read  items:write", " ", 'a"b', "a\tb", "é"])
async def test_a_scope_that_does_not_exist_is_invalid(accounts: Accounts, scope: str) -> None:
    refused(await post(accounts, urlencode({**FORM, "scope": scope})), "invalid_scope")


@pytest.mark.parametrize("name", ["username", "password"])
async def test_a_missing_parameter_is_named(accounts: Accounts, name: str) -> None:
    form = {key: value for key, value in FORM.items() if key != name}

    response = await post(accounts, urlencode(form))

    refused(response, "invalid_request")
    assert response.json()["detail"] == f"The parameter {name} is missing."


@pytest.mark.parametrize(
    ("form", "missing"),
    [
        ({"username": "ann", "password": PASSWORD}, "grant_type=password"),
        ({"refresh_token": "x"}, "grant_type=refresh_token"),
    ],
)
async def test_a_form_without_grant_type_is_told_what_to_add(
    accounts: Accounts, form: dict[str, str], missing: str
) -> None:
    """As whoever comes from FastAPI's tutorial may send it; RFC 6749 requires it."""
    response = await post(accounts, urlencode(form))

    refused(response, "invalid_request")
    assert response.json()["error_description"] == (
        f"The parameter grant_type is missing; add {missing} to the form."
    )


@pytest.mark.parametrize("name", ["grant_type", "username", "password"])
async def test_a_parameter_without_a_value_is_missing(accounts: Accounts, name: str) -> None:
    refused(await post(accounts, urlencode({**FORM, name: ""})), "invalid_request")


async def test_another_grant_is_unsupported(accounts: Accounts) -> None:
    form = {**FORM, "grant_type": "client_credentials"}

    refused(await post(accounts, urlencode(form)), "unsupported_grant_type")


@pytest.mark.parametrize("name", ["grant_type", "username", "password", "scope", "other"])
async def test_a_repeated_parameter_is_refused(accounts: Accounts, name: str) -> None:
    twice = urlencode([*FORM.items(), (name, "x"), (name, "y")])

    refused(await post(accounts, twice), "invalid_request")


async def test_an_unknown_parameter_is_ignored(accounts: Accounts) -> None:
    response = await post(accounts, urlencode({**FORM, "client_id": "web", "client_secret": "s"}))

    assert response.status_code == 200


@pytest.mark.parametrize(("name", "length"), [("username", 321), ("password", 1025)])
async def test_a_parameter_beyond_its_limit_is_refused(
    accounts: Accounts, name: str, length: int
) -> None:
    refused(await post(accounts, urlencode({**FORM, name: "x" * length})), "invalid_request")


async def test_a_body_beyond_the_limit_is_refused(accounts: Accounts) -> None:
    refused(await post(accounts, urlencode({**FORM, "other": "x" * 16384})), "invalid_request")


async def test_too_many_parameters_are_refused(accounts: Accounts) -> None:
    refused(await post(accounts, "&".join(f"p{n}=1" for n in range(40))), "invalid_request")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"username=%ff", b"a=%ED%A0%80", b""])
async def test_a_body_that_is_no_form_is_refused(accounts: Accounts, body: bytes) -> None:
    refused(await post(accounts, body), "invalid_request")


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", ""])
async def test_another_media_type_is_refused(accounts: Accounts, kind: str) -> None:
    response = await post(accounts, urlencode(FORM), **{"Content-Type": kind})

    refused(response, "invalid_request")


@pytest.mark.parametrize("first", [TYPE["Content-Type"], "application/json"])
async def test_two_media_types_are_refused(accounts: Accounts, first: str) -> None:
    """A proxy may have read the body by the other."""
    both = [("Content-Type", first), *TYPE.items()]
    async with client_of(make_app(make_auth(accounts))) as client:
        response = await client.post("/auth/token", content=urlencode(FORM), headers=both)

    refused(response, "invalid_request")


async def test_a_media_type_may_name_its_charset(accounts: Accounts) -> None:
    kind = "Application/X-WWW-Form-URLEncoded; charset=UTF-8"

    response = await post(accounts, urlencode(FORM), **{"Content-Type": kind})

    assert response.status_code == 200


async def test_a_client_that_leaves_midway_is_no_server_error(accounts: Accounts) -> None:
    app = make_app(make_auth(accounts))
    sent: list[dict[str, object]] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/auth/token",
        "query_string": b"",
        "headers": [(b"content-type", b"application/x-www-form-urlencoded")],
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    await app(scope, receive, send)  # type: ignore[arg-type]

    assert sent[0]["status"] == 400


async def test_an_error_carries_the_members_of_a_problem(accounts: Accounts) -> None:
    response = await post(accounts, urlencode({**FORM, "password": "wrong"}))

    assert response.json() == {
        "error": "invalid_grant",
        "error_description": "The user name or password is wrong.",
        "type": "/problems/invalid-grant",
        "title": "Invalid grant",
        "status": 400,
        "detail": "The user name or password is wrong.",
        "instance": "/auth/token",
    }


NOBODY = make_app(make_auth(Accounts()))


@given(st.binary(max_size=200))
@settings(max_examples=40, deadline=None)
async def test_no_body_is_a_server_error(body: bytes) -> None:
    async with client_of(NOBODY) as client:
        refused(await client.post("/auth/token", content=body, headers=TYPE), "invalid_request")


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
async def test_no_name_and_password_are_a_server_error(login: str, password: str) -> None:
    form = urlencode({**FORM, "username": login, "password": password}, errors="surrogatepass")

    async with client_of(NOBODY) as client:
        response = await client.post("/auth/token", content=form, headers=TYPE)

    assert response.json()["error"] in {"invalid_grant", "invalid_request"}
