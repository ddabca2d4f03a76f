"""Log-in tells nothing about who has an account, and how `Auth` is put together."""

import json
import logging
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from fastapi_kit.auth import PasswordHasher, roles, scopes
from fastapi_kit.auth.policy import utc_now
from fastapi_kit.auth.token_responses import TokenResponse
from fastapi_kit.errors import ConfigurationError
from fastapi_kit.logs import JsonFormatter
from fastapi_kit.middleware import AccessLogMiddleware
from tests.auth.accounts import (
    HASHER,
    Accounts,
    User,
    bearer,
    client_of,
    get,
    make_app,
    make_auth,
)
from tests.auth.test_passwords import old_hash

PASSWORD = "correct horse battery staple"


class CountingHasher(PasswordHasher):
    """Tells how often a password was verified, and how often one was hashed."""

    def __init__(self) -> None:
        self._setup(1, 8, 1, 2, 64)
        self.verified = self.hashed = 0

    async def verify(self, password: str, password_hash: str | None) -> bool:
        self.verified += 1
        return await super().verify(password, password_hash)

    async def hash(self, password: str) -> str:
        self.hashed += 1
        return await super().hash(password)


async def log_in(app: FastAPI, username: str, password: str) -> httpx.Response:
    form = {"grant_type": "password", "username": username, "password": password}
    async with client_of(app) as client:
        return await client.post("/auth/token", data=form)


@pytest.fixture
async def accounts() -> Accounts:
    stored = await HASHER.hash(PASSWORD)
    return Accounts(
        [
            User(1, "ann", password_hash=stored),
            User(2, "disabled", password_hash=stored, active=False),
            User(3, "passwordless"),
            User(4, "damaged", password_hash="$argon2id$corrupt"),
            User(5, "old and disabled", password_hash=old_hash("bcrypt"), active=False),
        ]
    )


REFUSED = [
    ("nobody", PASSWORD, "no such user"),
    ("nobody", "wrong", "no such user"),
    ("ann", "wrong", "wrong password"),
    ("ann", PASSWORD + "\x00", "wrong password"),
    ("disabled", PASSWORD, "the user is not active"),
    ("disabled", "wrong", "wrong password"),
    ("passwordless", PASSWORD, "wrong password"),
    ("damaged", PASSWORD, "wrong password"),
    ("old and disabled", PASSWORD, "the user is not active"),
    ("ann\r\nadmin", PASSWORD, "no such user"),
    ("ann\x00", PASSWORD, "no such user"),
]


@pytest.mark.parametrize(("username", "password", "reason"), REFUSED)
async def test_every_refused_log_in_gets_the_same_answer_and_takes_the_same_work(
    username: str, password: str, reason: str, accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    hasher = CountingHasher()

    response = await log_in(make_app(make_auth(accounts, hasher=hasher)), username, password)

    assert response.status_code == 400
    assert response.json()["error"] == "invalid_grant"
    assert response.json()["detail"] == "The user name or password is wrong."
    assert sorted(response.headers) == ["cache-control", "content-length", "content-type", "pragma"]
    assert (hasher.verified, hasher.hashed) == (1, 0)
    [line] = [record for record in caplog.records if record.name == "fastapi_kit.auth"][-1:]
    assert line.getMessage().endswith(f"refused: {reason}")
    assert username not in caplog.text


@pytest.mark.parametrize("username", ["a\x00b", "a\nb", "\x1b[31m"])
async def test_no_store_is_asked_for_a_name_with_control_characters(username: str) -> None:
    """PostgreSQL refuses NUL in a text, which would be a 500."""
    accounts = Accounts()

    await log_in(make_app(make_auth(accounts)), username, "x")

    assert accounts.asked == []


async def test_no_log_line_holds_a_password_or_a_hash(
    accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(make_auth(accounts))
    with caplog.at_level("DEBUG"):
        token = (await log_in(app, "ann", PASSWORD)).json()["access_token"]
        await log_in(app, "ann", "wrong-" + PASSWORD)
        await log_in(app, "damaged", PASSWORD)

    for secret in (PASSWORD, "$argon2id$", token):
        assert secret not in caplog.text


async def test_an_old_hash_is_upgraded_at_log_in_once(accounts: Accounts) -> None:
    user = User(6, "old", password_hash=old_hash("bcrypt"))
    accounts.rows.append(user)
    hasher = CountingHasher()
    app = make_app(make_auth(accounts, hasher=hasher))

    for _ in range(2):
        assert (await log_in(app, "old", PASSWORD)).status_code == 200

    assert user.password_hash is not None
    assert user.password_hash.startswith("$argon2id$")
    assert hasher.hashed == 1


async def test_an_upgrade_that_fails_does_not_stop_the_log_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class ReadOnly(Accounts):
        async def set_password_hash(self, user: User, password_hash: str) -> None:
            raise ConnectionError(f"UPDATE users SET password_hash = '{password_hash}'")

    accounts = ReadOnly([User(1, "old", password_hash=old_hash("bcrypt"))])

    response = await log_in(make_app(make_auth(accounts)), "old", PASSWORD)

    assert response.status_code == 200
    assert "not stored: ConnectionError" in caplog.text
    assert "$argon2id$" not in caplog.text


async def test_an_app_may_check_a_password_itself(accounts: Accounts) -> None:
    auth = make_auth(accounts)

    assert await auth.authenticate_user("ann", PASSWORD) is accounts.rows[0]
    assert await auth.authenticate_user("ann", "wrong") is None
    assert await auth.authenticate_user("ann", "x" * 5000) is None


@pytest.mark.parametrize("path", ["/me", "/auth/token"])
async def test_the_access_line_says_who_it_was(accounts: Accounts, path: str) -> None:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(JsonFormatter().format(record))  # type: ignore[method-assign]
    auth = make_auth(accounts)
    app = make_app(auth)
    app.add_middleware(AccessLogMiddleware)
    access_log = logging.getLogger("fastapi_kit.access")
    access_log.addHandler(handler)
    level = access_log.level
    access_log.setLevel("INFO")
    try:
        if path == "/me":
            await get(app, path, bearer(auth, accounts.rows[0]))
        else:
            await log_in(app, "ann", PASSWORD)
    finally:
        access_log.removeHandler(handler)
        access_log.setLevel(level)

    assert json.loads(lines[-1])["enduser.id"] == "1"


# --- how it is put together


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token_url": ""}, "token_url is empty"),
        ({"issuer": ""}, "issuer=''"),
        ({"issuer": 7}, "issuer=7"),
        ({"audience": "a\nb"}, "audience='a"),
        ({"access_ttl": timedelta(0)}, "access_ttl=0:00:00 is not from"),
        ({"access_ttl": timedelta(days=400)}, "access_ttl=400 days"),
        ({"leeway": timedelta(seconds=-1)}, "leeway=-1 day"),
        ({"leeway": timedelta(minutes=6)}, "leeway=0:06:00 is not from 0 to 0:05:00"),
        ({"clock": datetime.now}, "naive"),
        ({"scopes": {"two words": ""}}, "'two words'"),
        ({"default_scopes": ["items:fly"]}, "'items:fly'"),
        ({"accounts": Accounts}, "users=Accounts is a class"),
        ({"accounts": object()}, "lacks get, get_by_login, password_hash"),
    ],
)
def test_an_auth_that_cannot_work_is_refused_when_built(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_auth(**options)


@pytest.mark.parametrize("requirement", ["admin", None, ["admin"]])
def test_require_takes_requirements_only(requirement: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no requirement; write require"):
        make_auth().require(requirement)


def test_a_guard_for_a_scope_that_is_not_declared_is_refused_when_defined() -> None:
    with pytest.raises(ConfigurationError, match="not declared"):
        make_auth().require(roles("admin") | scopes("items:wirte"))


async def test_the_least_auth_has_no_scopes_and_hashes_by_argon2id() -> None:
    auth = make_auth(scopes=None, hasher=None)

    assert dict(auth.scopes) == {}
    assert (await auth.hasher.hash("x")).startswith("$argon2id$v=19$m=65536")


async def test_the_time_is_the_systems_unless_a_clock_is_given() -> None:
    auth = make_auth(clock=utc_now)
    before = utc_now()

    claims = await auth.verify_access_token(auth.create_access_token(subject="1"))

    assert before - timedelta(seconds=1) < claims.issued_at <= utc_now()


async def test_a_token_response_does_not_show_the_token_in_its_repr() -> None:
    assert "secret" not in repr(TokenResponse(access_token="secret", expires_in=1, scope=""))
