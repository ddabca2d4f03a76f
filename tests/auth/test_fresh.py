"""`fresh`: a log-in that was lately, and what a client is told when it was not (RFC 9470)."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from fastapi_kit.auth import Auth, StaleLoginError, fresh, roles, scopes
from fastapi_kit.errors import ConfigurationError
from fastapi_kit.testing.users import as_user
from tests.auth.accounts import NOW, Accounts, Clock, User, client_of, get, make_auth
from tests.auth.forge import IAT, with_claims
from tests.auth.test_requirements import caller
from tests.auth.test_tokens import refusal

MINUTES = timedelta(minutes=5)
ADMIN, VIEWER = User(1, "ann", role="admin"), User(2, "bob")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def auth(clock: Clock) -> Auth[User]:
    return make_auth(Accounts([ADMIN, VIEWER]), clock=clock)


@pytest.fixture
def app(auth: Auth[User]) -> FastAPI:
    app = FastAPI()
    for path, requirement in {
        "/fresh": fresh(MINUTES),
        "/both": fresh(MINUTES) & roles("admin"),
        "/either": fresh(MINUTES) | roles("admin"),
        "/two": fresh(MINUTES) & fresh(timedelta(hours=1)),
    }.items():
        app.add_api_route(path, nothing, dependencies=[Depends(auth.require(requirement))])

    @app.websocket("/ws")
    async def talk(
        socket: WebSocket, user: Annotated[User, Depends(auth.require(fresh(MINUTES)))]
    ) -> None: ...

    return app


async def nothing() -> None: ...


def headers(auth: Auth[User], user: User, auth_time: datetime | None) -> dict[str, str]:
    token = auth.create_access_token(subject=str(user.id), auth_time=auth_time)
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (timedelta(0), 200),
        (MINUTES, 200),
        (MINUTES + timedelta(microseconds=1), 401),
        (timedelta(days=1), 401),
        (timedelta(seconds=-60), 200),
    ],
)
async def test_a_log_in_is_fresh_until_its_age(
    app: FastAPI, auth: Auth[User], age: timedelta, status: int
) -> None:
    response = await get(app, "/fresh", headers(auth, VIEWER, NOW - age))

    assert response.status_code == status


async def test_a_stale_log_in_is_challenged_by_rfc_9470(app: FastAPI, auth: Auth[User]) -> None:
    response = await get(app, "/fresh", headers(auth, VIEWER, NOW - timedelta(hours=1)))

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == (
        'Bearer error="insufficient_user_authentication", '
        'error_description="The log-in was too long ago", max_age="300"'
    )
    assert response.json() == {"detail": "Requires a log-in within the last 5 minutes."}


async def test_a_token_without_auth_time_is_never_fresh(app: FastAPI, auth: Auth[User]) -> None:
    assert (await get(app, "/fresh", headers(auth, VIEWER, None))).status_code == 401


async def test_a_token_refreshed_keeps_the_age_of_its_log_in(
    app: FastAPI, auth: Auth[User], clock: Clock
) -> None:
    clock.advance(minutes=6)

    assert (await get(app, "/fresh", headers(auth, VIEWER, NOW))).status_code == 401


async def test_a_log_in_that_would_not_help_is_not_asked_for(
    app: FastAPI, auth: Auth[User]
) -> None:
    async with client_of(app) as client:
        stale = await client.get("/both", headers=headers(auth, ADMIN, None))
        viewer = await client.get("/both", headers=headers(auth, VIEWER, None))
        fresh_viewer = await client.get("/both", headers=headers(auth, VIEWER, NOW))

    assert [stale.status_code, viewer.status_code, fresh_viewer.status_code] == [401, 403, 403]


async def test_either_a_log_in_or_a_role(app: FastAPI, auth: Auth[User]) -> None:
    async with client_of(app) as client:
        admin = await client.get("/either", headers=headers(auth, ADMIN, None))
        viewer = await client.get("/either", headers=headers(auth, VIEWER, None))

    assert [admin.status_code, viewer.status_code] == [200, 401]


async def test_the_shortest_age_is_asked_for(app: FastAPI, auth: Auth[User]) -> None:
    response = await get(app, "/two", headers(auth, VIEWER, None))

    assert 'max_age="300"' in response.headers["www-authenticate"]


async def test_without_a_token_nothing_is_said_of_freshness(app: FastAPI) -> None:
    assert (await get(app, "/fresh")).headers["www-authenticate"] == "Bearer"


def test_a_websocket_is_denied_too(app: FastAPI, auth: Auth[User]) -> None:
    with (
        TestClient(app) as client,
        pytest.raises(WebSocketDenialResponse) as denial,
        client.websocket_connect("/ws", headers=headers(auth, VIEWER, None)),
    ):
        pass  # pragma: no cover  # the connection is refused

    assert denial.value.status_code == 401


async def test_as_user_has_just_logged_in(app: FastAPI, auth: Auth[User]) -> None:
    with as_user(app, auth, VIEWER):
        assert (await get(app, "/fresh")).status_code == 200


def test_holding_everything_else_is_not_fresh() -> None:
    assert not fresh(MINUTES).is_met_by(caller(roles={"admin"}, token={"a"}))


@pytest.mark.parametrize("age", [timedelta(0), timedelta(seconds=-1), 300, None, "5 minutes"])
def test_an_age_that_is_no_positive_duration_is_refused_when_defined(age: Any) -> None:
    with pytest.raises(ConfigurationError, match="no positive timedelta"):
        fresh(age)


@pytest.mark.parametrize(
    ("age", "spoken"),
    [
        (timedelta(days=1), "day"),
        (timedelta(days=2), "2 days"),
        (timedelta(hours=1), "hour"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(minutes=5), "5 minutes"),
        (timedelta(seconds=90), "90 seconds"),
        (timedelta(seconds=0.5), "0.5 seconds"),
    ],
)
def test_it_reads_as_a_sentence(age: timedelta, spoken: str) -> None:
    assert str(fresh(age)) == f"a log-in within the last {spoken}"


def test_it_is_a_value_that_combines() -> None:
    assert fresh(MINUTES) == fresh(timedelta(seconds=300))
    assert (fresh(MINUTES) & scopes("a")).required_scopes() == {"a"}
    assert str(fresh(MINUTES) & roles("admin")) == (
        "a log-in within the last 5 minutes and role admin"
    )


def test_only_guards_that_ask_for_it_tell_of_the_stale_log_in(auth: Auth[User]) -> None:
    assert StaleLoginError in auth.require(fresh(MINUTES) | roles("a")).raises
    assert StaleLoginError not in auth.require(roles("a")).raises


# --- the claim


async def test_the_log_in_is_read_from_the_token(auth: Auth[User]) -> None:
    token = auth.create_access_token(subject="1", auth_time=NOW - MINUTES)

    claims = await auth.verify_access_token(token)

    assert claims.auth_time == NOW - MINUTES
    assert claims.login_age == MINUTES


@pytest.mark.parametrize("value", [None, True, "1", [], {}])
async def test_a_log_in_that_is_no_number_is_refused(value: Any, caplog: Any) -> None:
    assert await refusal(with_claims(auth_time=value), caplog) == "auth_time is not a number"


@pytest.mark.parametrize("value", [-1, 253402300800, 10**400])
async def test_a_log_in_out_of_range_is_refused(value: int, caplog: Any) -> None:
    assert await refusal(with_claims(auth_time=value), caplog) == "auth_time is out of range"


async def test_a_log_in_in_the_future_is_refused(auth: Auth[User], caplog: Any) -> None:
    assert await auth.verify_access_token(with_claims(auth_time=IAT + 60))
    late = with_claims(auth_time=IAT + 61)
    assert await refusal(late, caplog) == "the log-in is in the future"
