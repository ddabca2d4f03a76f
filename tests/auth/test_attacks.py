"""What an attacker tries from outside, and what a developer gets wrong inside."""

from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI

from fastapi_kit.auth import (
    InvalidTokenError,
    MemoryRefreshStore,
    Principal,
    end_every_session,
    roles,
)
from fastapi_kit.errors import ConfigurationError, add_error_handlers
from tests.auth.accounts import HASHER, Accounts, User, client_of, get, make_app, make_auth
from tests.auth.forge import CLAIMS, HEADER, forge
from tests.auth.sessions import PASSWORD, House, is_refused, people

MARK = "x\r\nSet-Cookie: a=b\r\n\x1b[31m forged line \u2028"


# --- where a token may come from


@pytest.mark.parametrize("name", ["access_token", "token", "Authorization"])
async def test_a_token_in_the_query_is_not_read(name: str) -> None:
    """RFC 6750 section 2.3: addresses end up in logs, histories and Referer headers."""
    auth = make_auth(people())
    token = auth.create_access_token(subject="1")

    async with client_of(make_app(auth)) as client:
        response = await client.get("/me", params={name: token})

    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_token_in_the_body_or_a_cookie_is_not_read() -> None:
    """RFC 6750 section 2.2; and a cookie would be sent by forged requests too."""
    auth = make_auth(people(), scopes={"items:write": ""})
    token = auth.create_access_token(subject="1", scopes={"items:write"})

    async with client_of(make_app(auth)) as client:
        body = await client.post("/items", data={"access_token": token})
        cookie = await client.get("/me", headers={"Cookie": f"access_token={token}"})

    assert (body.status_code, cookie.status_code) == (401, 401)


@pytest.mark.parametrize(
    "value",
    [b"Bearer \xff\xfe", b"Bearer \xe9", b"Bearer a\x00b", b"\xff", b"Bearer " + b"\x80" * 99],
)
async def test_a_header_of_odd_bytes_is_no_server_error(value: bytes) -> None:
    app = make_app(make_auth())

    async with client_of(app) as client:
        response = await client.get("/me", headers={b"Authorization": value})

    assert response.status_code == 401


async def test_a_password_in_the_query_is_not_read() -> None:
    async with House().client() as client:
        form = {"grant_type": "password", "username": "ann", "password": PASSWORD}
        response = await client.http.post("/auth/token", params=form)

    is_refused(response, "invalid_request")


# --- one kind of token in place of another


async def test_a_purpose_token_neither_refreshes_nor_is_revoked_as_another() -> None:
    house = House()
    token = house.auth.purpose_token("password-reset", subject="1", ttl=timedelta(hours=1))

    async with house.client() as client:
        is_refused(await client.try_refresh(token))
        assert (await client.post("revoke", token=token)).status_code == 200

    assert (await house.auth.verify_purpose_token("password-reset", token)).subject == "1"


async def test_a_refresh_token_has_no_purpose() -> None:
    house = House()
    async with house.client() as client:
        token = (await client.log_in())["refresh_token"]

    with pytest.raises(InvalidTokenError):
        await house.auth.verify_purpose_token("password-reset", token)


# --- what is sent does not come back


HOSTILE = {
    "typ": forge({**HEADER, "typ": MARK}),
    "alg": forge({**HEADER, "alg": MARK}),
    "kid": forge({**HEADER, "kid": MARK}),
    "jku": forge({**HEADER, "jku": MARK}, secret="another secret of thirty-two bytes or more"),
    **{
        name: forge(claims={**CLAIMS, name: MARK})
        for name in ("iss", "aud", "sub", "jti", "exp", "nbf", "scope", "client_id", "auth_time")
    },
    "no token": "forged line",
}


@pytest.mark.parametrize("token", HOSTILE.values(), ids=HOSTILE)
async def test_nothing_of_a_token_gets_into_answers_and_logs(
    token: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(make_auth(people()))
    add_error_handlers(app)

    with caplog.at_level("DEBUG"):
        response = await get(app, "/me", {"Authorization": f"Bearer {token}"})

    assert response.status_code == 401
    for text in (response.text, str(response.headers), *caplog.messages):
        assert "forged line" not in text
        assert "Set-Cookie" not in text
        assert token not in text


@pytest.mark.parametrize("name", ["grant_type", "username", "password", "scope", "refresh_token"])
async def test_nothing_of_a_form_gets_into_answers_and_logs(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    form = {"grant_type": "password", "username": "ann", "password": "wrong"}
    if name == "refresh_token":
        form = {"grant_type": "refresh_token"}
    house = House()

    with caplog.at_level("DEBUG"):
        async with house.client() as client:
            response = await client.post("token", **(form | {name: MARK}))

    assert response.status_code == 400
    for text in (response.text, str(response.headers), str(house.events), *caplog.messages):
        assert "forged line" not in text
        assert "Set-Cookie" not in text


# --- races with the end of all sessions


async def test_a_refresh_at_the_moment_of_a_log_out_everywhere_is_refused() -> None:
    class LoggedOut(MemoryRefreshStore):
        async def replace(self, session: Any, *, token_digest: str) -> bool:
            await self.remove_all(session.subject)
            return await super().replace(session, token_digest=token_digest)

    house = House(LoggedOut())
    async with house.client() as client:
        token = (await client.log_in())["refresh_token"]

        is_refused(await client.try_refresh(token))

    assert len(house.store) == 0


class PasswordChanged(MemoryRefreshStore):
    """The password changes, and every session ends, just before the first one is stored."""

    house: House
    password: str | None = "another battery"

    async def add(self, session: Any) -> None:
        if self.password is not None:
            user, _ = self.house.accounts.rows
            user.password_hash, self.password = HASHER.hash_blocking(self.password), None
            await end_every_session(self.house.auth, self.house.refresh, "1")
        await super().add(session)


async def test_a_log_in_that_a_password_change_overtakes_is_refused() -> None:
    """It was verified by the old password: whoever has that is to be locked out."""
    store = PasswordChanged()
    house = store.house = House(store)

    async with house.client() as client:
        is_refused(await client.try_log_in())
        remaining = len(store)
        await client.log_in(password="another battery")

    assert (remaining, len(store)) == (0, 1)
    assert house.events[0].reason == "the password was changed"


async def test_a_log_in_without_sessions_that_is_overtaken_is_refused_too() -> None:
    class Changing(Accounts):
        async def get(self, subject: str) -> User | None:
            self.rows[0].password_hash = HASHER.hash_blocking("another battery")
            return await super().get(subject)

    house = House(accounts=Changing(people().rows), options={"refresh": None})
    async with house.client() as client:
        is_refused(await client.try_log_in())


async def test_a_user_who_is_gone_by_then_is_refused() -> None:
    class Gone(Accounts):
        async def get(self, subject: str) -> User | None:
            return None

    async with House(accounts=Gone(people().rows)).client() as client:
        is_refused(await client.try_log_in())


async def test_an_upgrade_by_another_log_in_does_not_stop_this_one() -> None:
    class Upgraded(Accounts):
        async def get(self, subject: str) -> User | None:
            self.rows[0].password_hash = HASHER.hash_blocking(PASSWORD)
            return await super().get(subject)

    async with House(accounts=Upgraded(people().rows)).client() as client:
        await client.log_in()


# --- guards put in wrongly fail when the route is defined


AUTH = make_auth()
MISUSED: dict[str, Any] = {
    "current_user": AUTH.current_user,
    "optional_user": AUTH.optional_user,
    "scheme": AUTH.scheme,
    "require": AUTH.require(roles("admin")),
    "require_object": AUTH.require_object(lambda: None, lambda user, item: True),
}


@pytest.mark.parametrize("dependency", MISUSED.values(), ids=MISUSED)
@pytest.mark.parametrize("kind", [User, Principal, int, dict[str, Any]])
def test_an_annotation_without_depends_is_refused(kind: Any, dependency: Any) -> None:
    """FastAPI would read the user from the body, and whoever calls would be whoever they say."""
    app = FastAPI()

    async def route(user: Any) -> None: ...

    route.__annotations__["user"] = Annotated[kind, dependency]
    with pytest.raises(ConfigurationError, match=r"write Annotated\[User, Depends"):
        app.post("/")(route)


@pytest.mark.parametrize("misused", [AUTH.require, roles("admin")], ids=["require", "roles"])
def test_what_is_no_guard_yet_is_refused(misused: Any) -> None:
    with pytest.raises((AssertionError, RuntimeError)):
        FastAPI().get("/", dependencies=[Depends(misused)])(lambda: None)


def test_a_guard_without_depends_is_refused() -> None:
    guard: Any = AUTH.require(roles("admin"))
    with pytest.raises(AttributeError):
        FastAPI().get("/", dependencies=[guard])(lambda: None)
