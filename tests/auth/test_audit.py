"""What is told of log-ins and sessions, and the limiter that is asked before."""

import logging

import pytest

from fastapi_kit.auth import AuthEvent, LoginAttempt, LoginLimiter
from fastapi_kit.errors import ForbiddenError, TooManyRequestsError
from tests.auth.sessions import PASSWORD, Down, House, is_refused

ADDRESS = "203.0.113.1"


async def test_a_log_in_tells_who_from_where_and_which_session() -> None:
    house = House()
    async with house.client(ADDRESS) as client:
        body = await client.log_in()

    session = (await house.refresh.look_up(body["refresh_token"])).id
    assert house.events == [
        AuthEvent(name="login", subject="1", client_address=ADDRESS, session=session)
    ]


async def test_a_refresh_names_the_same_session() -> None:
    house = House()
    async with house.client() as client:
        await client.refresh((await client.log_in())["refresh_token"])

    assert house.events[1].name == "refresh"
    assert house.events[1].session == house.events[0].session


@pytest.mark.parametrize(
    ("login", "subject", "reason"),
    [("ann", "1", "wrong password"), ("nobody", None, "no such user")],
)
async def test_a_refused_log_in_tells_why(login: str, subject: str | None, reason: str) -> None:
    house = House()
    async with house.client(ADDRESS) as client:
        await client.try_log_in(login, "wrong")

    assert house.events == [
        AuthEvent(name="login_refused", subject=subject, client_address=ADDRESS, reason=reason)
    ]


async def test_a_refused_refresh_tells_why() -> None:
    house = House()
    async with house.client(ADDRESS) as client:
        await client.try_refresh("x")

    reason = "no session has this token"
    assert house.events == [
        AuthEvent(name="refresh_refused", client_address=ADDRESS, reason=reason)
    ]


async def test_a_refresh_that_asks_for_more_is_told_with_its_session() -> None:
    """A thief, or a client that was put together wrongly: somebody should see it."""
    house = House()
    async with house.client(ADDRESS) as client:
        first = await client.log_in(scope="items:read")
        await client.try_refresh(first["refresh_token"], scope="items:write")

    login, refused = house.events
    assert refused == AuthEvent(
        name="refresh_refused",
        subject="1",
        client_address=ADDRESS,
        session=login.session,
        reason="a scope was asked for that was not granted at log-in",
    )


async def test_the_hook_may_be_async() -> None:
    events = []

    async def audit(event: AuthEvent) -> None:
        events.append(event.name)

    async with House(options={"audit": audit}).client() as client:
        await client.log_in()

    assert events == ["login"]


async def test_a_hook_that_fails_is_logged_and_the_log_in_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def audit(event: AuthEvent) -> None:
        raise ConnectionError("password=hunter2")

    async with House(options={"audit": audit}).client() as client:
        await client.log_in()

    assert "The audit hook failed: ConnectionError" in caplog.text
    assert "hunter2" not in caplog.text


async def test_each_event_is_logged_with_address_and_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    house = House()
    with caplog.at_level("INFO", "fastapi_kit.auth"):
        async with house.client(ADDRESS) as client:
            body = await client.log_in()
            await client.refresh(body["refresh_token"])
            await client.try_refresh(body["refresh_token"])
            await client.try_log_in(password="wrong")

    records = [record for record in caplog.records if record.name == "fastapi_kit.auth"]
    assert [(record.levelno, record.getMessage()) for record in records] == [
        (logging.INFO, "Log-in of subject '1'"),
        (logging.INFO, "Refresh of subject '1'"),
        (
            logging.WARNING,
            "Refresh of subject '1' refused: the token was used before; its session is ended",
        ),
        (logging.WARNING, "Log-in of subject '1' refused: wrong password"),
    ]
    for record in records:
        assert vars(record)["client.address"] == ADDRESS
    assert vars(records[0])["auth.session"] == house.events[0].session


async def test_no_event_and_no_log_line_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    secrets = [PASSWORD, "my-password-typed-as-name"]
    with caplog.at_level("DEBUG"):
        async with house.client() as client:
            await client.try_log_in("my-password-typed-as-name", "x")
            first = await client.log_in()
            second = await client.refresh(first["refresh_token"])
            await client.try_refresh(first["refresh_token"])
            await client.post("revoke", token=second["refresh_token"])
            await client.post("revoke", token=second["access_token"])
            third = await client.log_in()
            await client.end("logout", third["access_token"])

    for body in (first, second, third):
        secrets += [body["access_token"], body["refresh_token"]]
    text = caplog.text + repr(house.events) + repr([vars(record) for record in caplog.records])
    for secret in secrets:
        assert secret not in text


# --- the limiter


async def test_the_limiter_is_asked_before_anything_is_looked_up_or_hashed() -> None:
    asked = []

    def limiter(attempt: LoginAttempt) -> None:
        asked.append((attempt.login, attempt.client_address))
        raise TooManyRequestsError("Slow down.", retry_after_seconds=30)

    house = House(options={"limiter": limiter})
    async with house.client(ADDRESS) as client:
        response = await client.try_log_in()

    is_refused(response, "temporarily_unavailable", 429)
    assert (response.json()["detail"], response.headers["retry-after"]) == ("Slow down.", "30")
    assert asked == [("ann", ADDRESS)]
    assert house.accounts.asked == []
    assert house.events[0].reason == "the limiter refused it"


async def lets_through(attempt: LoginAttempt) -> None: ...


def lets_through_at_once(attempt: LoginAttempt) -> None: ...


@pytest.mark.parametrize("limiter", [lets_through, lets_through_at_once])
async def test_what_the_limiter_does_not_refuse_goes_on(limiter: LoginLimiter) -> None:
    async with House(options={"limiter": limiter}).client() as client:
        await client.log_in()


async def test_what_else_the_limiter_raises_is_no_token_for_any_client() -> None:
    def limiter(attempt: LoginAttempt) -> None:
        raise ForbiddenError("Not from there.")

    async with House(options={"limiter": limiter}).client() as client:
        is_refused(await client.try_log_in(), "access_denied", 403)


async def test_an_answer_of_a_server_error_tells_nothing_of_the_request() -> None:
    async with House(Down()).client() as client:
        assert "instance" not in (await client.try_refresh("A" * 64)).json()


def test_an_attempt_does_not_show_what_was_typed() -> None:
    assert "hunter2" not in repr(LoginAttempt("hunter2", ADDRESS))
