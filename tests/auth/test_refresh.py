"""Refresh tokens: used once, in sessions that end."""

import asyncio
import string
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_kit.auth import (
    MemoryRefreshStore,
    RefreshSession,
    RefreshStore,
    RefreshTokens,
    SQLAlchemyRefreshStore,
    auth_router,
)
from fastapi_kit.db import Database
from fastapi_kit.errors import ConfigurationError, ServiceUnavailableError
from tests.auth.accounts import NOW, SCOPES, Accounts, make_auth
from tests.auth.sessions import PASSWORD, Down, House, is_refused


async def test_a_log_in_gives_a_refresh_token_of_256_new_bits() -> None:
    async with House().client() as client:
        tokens = [(await client.log_in())["refresh_token"] for _ in range(2)]

    assert tokens[0] != tokens[1]
    for token in tokens:
        assert len(token) == 64
        assert set(token) <= {*string.ascii_letters, *string.digits, "-", "_"}


async def test_without_refresh_tokens_there_are_none() -> None:
    async with House(options={"refresh": None}).client() as client:
        assert "refresh_token" not in await client.log_in()
        is_refused(
            await client.post("token", grant_type="refresh_token", refresh_token="x"),
            "unsupported_grant_type",
        )


@pytest.mark.parametrize("path", ["refresh", "token"])
async def test_a_refresh_token_gives_new_tokens(store: RefreshStore, path: str) -> None:
    async with House(store).client() as client:
        first = await client.log_in(scope="items:read")

        response = await client.post(
            path, grant_type="refresh_token", refresh_token=first["refresh_token"]
        )

        second = response.json()
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"
        assert second.keys() == first.keys()
        assert (second["scope"], second["expires_in"]) == ("items:read", 1800)
        assert second["refresh_token"] != first["refresh_token"]
        assert await client.me(second["access_token"]) == 200


async def test_each_token_leads_to_the_next(store: RefreshStore) -> None:
    async with House(store).client() as client:
        token = (await client.log_in())["refresh_token"]
        for _ in range(3):
            token = (await client.refresh(token))["refresh_token"]


async def test_the_store_never_sees_a_token() -> None:
    seen: list[str] = []

    class Spying(MemoryRefreshStore):
        async def add(self, session: Any) -> None:
            seen.append(str([getattr(session, name) for name in session.__slots__]))
            await super().add(session)

    async with House(Spying()).client() as client:
        body = await client.log_in()

    for part in (body["refresh_token"], body["refresh_token"][-43:], body["access_token"]):
        assert part not in seen[0]


# --- one use


async def test_a_token_that_comes_a_second_time_ends_its_session(store: RefreshStore) -> None:
    house = House(store)
    async with house.client() as client:
        first = await client.log_in()
        second = await client.refresh(first["refresh_token"])

        is_refused(await client.try_refresh(first["refresh_token"]))

        is_refused(await client.try_refresh(second["refresh_token"]))
        assert [event.name for event in house.events] == [
            "login",
            "refresh",
            "refresh_reused",
            "refresh_refused",
        ]


async def test_the_access_tokens_of_a_stolen_session_end_with_it() -> None:
    async with House().client() as client:
        first = await client.log_in()
        second = await client.refresh(first["refresh_token"])
        await client.try_refresh(first["refresh_token"])

        assert await client.me(first["access_token"]) == 401
        assert await client.me(second["access_token"]) == 401


async def test_without_a_deny_list_they_hold_until_they_expire() -> None:
    async with House(denylist=None).client() as client:
        first = await client.log_in()
        await client.refresh(first["refresh_token"])
        is_refused(await client.try_refresh(first["refresh_token"]))

        assert await client.me(first["access_token"]) == 200


async def test_only_access_tokens_that_still_live_are_remembered_and_twenty_at_most() -> None:
    house = House()
    async with house.client() as client:
        token = (await client.log_in())["refresh_token"]
        house.clock.advance(minutes=31)
        for _ in range(25):
            token = (await client.refresh(token))["refresh_token"]

        session = await house.refresh.look_up(token)
        assert len(session.access_tokens) == 20
        house.clock.advance(minutes=31)
        token = (await client.refresh(token))["refresh_token"]
        assert len((await house.refresh.look_up(token)).access_tokens) == 1


async def test_another_session_of_the_same_user_goes_on(store: RefreshStore) -> None:
    async with House(store).client() as client:
        stolen = (await client.log_in())["refresh_token"]
        other = (await client.log_in())["refresh_token"]
        await client.refresh(stolen)
        await client.try_refresh(stolen)

        await client.refresh(other)


class AllAtOnce:
    """A store that lets nobody go on before eight have looked the session up."""

    def __init__(self, store: RefreshStore) -> None:
        self.store = store
        self.barrier = asyncio.Barrier(8)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def get(self, session_id: str) -> RefreshSession | None:
        session = await self.store.get(session_id)
        await self.barrier.wait()
        return session


async def test_of_eight_refreshes_at_once_exactly_one_wins(store: RefreshStore) -> None:
    """The others are reuse: the session is over for whoever won, too."""
    house = House(AllAtOnce(store))
    async with house.client() as client:
        token = (await client.log_in())["refresh_token"]

        responses = await asyncio.gather(*(client.try_refresh(token) for _ in range(8)))

    won = [response for response in responses if response.status_code == 200]
    assert len(won) == 1
    for response in responses:
        if response is not won[0]:
            is_refused(response)
    assert [event.name for event in house.events].count("refresh_reused") == 7
    async with House(store).client() as client:
        is_refused(await client.try_refresh(won[0].json()["refresh_token"]))


async def test_a_refresh_that_loses_the_race_at_the_last_moment_is_reuse() -> None:
    """Both have looked the session up before either replaces it."""

    class Overtaken(MemoryRefreshStore):
        async def replace(self, session: Any, *, token_digest: str) -> bool:
            assert await super().replace(session, token_digest=token_digest)
            return await super().replace(session, token_digest=token_digest)

    house = House(Overtaken())
    async with house.client() as client:
        is_refused(await client.try_refresh((await client.log_in())["refresh_token"]))

    assert house.events[-1].name == "refresh_reused"
    assert len(house.store) == 0


# --- what ends


async def test_a_token_that_lay_unused_for_too_long_is_refused(store: RefreshStore) -> None:
    house = House(store)
    async with house.client() as client:
        token = (await client.log_in())["refresh_token"]
        house.clock.advance(days=14)

        is_refused(await client.try_refresh(token))

    assert house.events[-1].reason == "the session has expired"


async def test_a_token_is_good_until_then(store: RefreshStore) -> None:
    house = House(store)
    async with house.client() as client:
        token = (await client.log_in())["refresh_token"]
        house.clock.advance(days=14, seconds=-1)

        await client.refresh(token)


async def test_a_session_ends_however_often_it_is_refreshed(store: RefreshStore) -> None:
    house = House(store)
    async with house.client() as client:
        token = (await client.log_in())["refresh_token"]
        for _ in range(5):
            house.clock.advance(days=10)
            token = (await client.refresh(token))["refresh_token"]
        house.clock.advance(days=10)

        is_refused(await client.try_refresh(token))


async def test_the_moment_of_log_in_stays_through_refreshes() -> None:
    house = House()
    async with house.client() as client:
        token = (await client.log_in())["refresh_token"]
        house.clock.advance(hours=1)
        body = await client.refresh(token)

    claims = await house.auth.verify_access_token(body["access_token"])
    assert (claims.auth_time, claims.issued_at) == (NOW, NOW + timedelta(hours=1))


@pytest.mark.parametrize("change", ["inactive", "gone"])
async def test_a_user_who_may_no_longer_come_in_is_refused(
    store: RefreshStore, change: str
) -> None:
    house = House(store)
    async with house.client() as client:
        token = (await client.log_in())["refresh_token"]
        if change == "gone":
            del house.accounts.rows[0]
        else:
            house.accounts.rows[0].active = False

        is_refused(await client.try_refresh(token))

    assert house.events[-1].reason == "the user is gone or not active"


async def test_a_look_up_that_gives_another_user_is_refused() -> None:
    class Confused(Accounts):
        async def get(self, subject: str) -> Any:
            return self.rows[1]

    house = House(accounts=Confused(House().accounts.rows))
    async with house.client() as client:
        is_refused(await client.try_refresh((await client.log_in())["refresh_token"]))


# --- scopes (RFC 6749 section 6)


async def test_a_refresh_may_ask_for_less() -> None:
    async with House().client() as client:
        first = await client.log_in(scope="items:read items:write")

        second = await client.refresh(first["refresh_token"], scope="items:read")
        third = await client.refresh(second["refresh_token"])

    assert second["scope"] == "items:read"
    assert third["scope"] == "items:read items:write"


async def test_a_refresh_may_not_ask_for_more_and_does_not_use_up_the_token() -> None:
    async with House().client() as client:
        first = await client.log_in(scope="items:read")

        is_refused(
            await client.try_refresh(first["refresh_token"], scope="items:write"), "invalid_scope"
        )

        await client.refresh(first["refresh_token"])


async def test_a_scope_taken_from_the_user_is_left_out() -> None:
    house = House()
    async with house.client() as client:
        first = await client.log_in(scope="items:read items:write")
        house.accounts.rows[0].scopes = frozenset({"items:read"})

        assert (await client.refresh(first["refresh_token"]))["scope"] == "items:read"


async def test_a_scope_that_the_app_no_longer_declares_is_left_out() -> None:
    house = House(auth_options={"scopes": {**SCOPES, "items:burn": ""}})
    async with house.client() as client:
        token = (await client.log_in(scope="items:read items:burn"))["refresh_token"]
    async with House(house.store).client() as client:
        assert (await client.refresh(token))["scope"] == "items:read"


# --- what is no token


@pytest.fixture(scope="module")
def house() -> House:
    return House()


@pytest.mark.parametrize(
    "token", ["x", "A" * 63, "A" * 64, "A" * 65, "A" * 64 + "=", "+" * 64, "é" * 64, "A" * 9000]
)
async def test_what_is_no_token_is_refused(house: House, token: str) -> None:
    async with house.client() as client:
        response = await client.try_refresh(token)

    is_refused(response, "invalid_request" if len(token) > 8192 else "invalid_grant")


@given(st.text(min_size=1, max_size=80))
@settings(max_examples=30, deadline=None)
async def test_no_text_is_a_server_error(token: str) -> None:
    async with House().client() as client:
        form = {"refresh_token": token.encode("utf-8", "replace").decode()}
        is_refused(await client.post("refresh", **form))


async def test_an_access_token_is_no_refresh_token_nor_the_other_way_round() -> None:
    async with House().client() as client:
        body = await client.log_in()

        is_refused(await client.try_refresh(body["access_token"]))
        assert await client.me(body["refresh_token"]) == 401


async def test_the_refresh_route_takes_no_other_grant() -> None:
    async with House().client() as client:
        response = await client.post(
            "refresh", grant_type="password", username="ann", password=PASSWORD
        )

    is_refused(response, "unsupported_grant_type")


async def test_the_refresh_route_needs_a_token() -> None:
    async with House().client() as client:
        is_refused(await client.post("refresh", grant_type="refresh_token"), "invalid_request")


# --- stores that fail


@pytest.mark.parametrize("path", ["token", "refresh", "revoke"])
async def test_a_store_that_is_down_is_503(path: str, caplog: pytest.LogCaptureFixture) -> None:
    async with House(Down()).client() as client:
        if path == "token":
            response = await client.try_log_in()
        else:
            response = await client.post(path, token="A" * 64, refresh_token="A" * 64)

    is_refused(response, "temporarily_unavailable", 503)
    assert response.headers["retry-after"] == "5"
    assert "The store of refresh tokens does not answer: ConnectionError" in caplog.text
    assert "hunter2" not in caplog.text + response.text


@pytest.mark.parametrize("path", ["logout", "logout-all"])
async def test_a_log_out_that_the_store_did_not_take_is_503(path: str) -> None:
    house = House(Down())
    token = house.auth.create_access_token(subject="1")
    async with house.client() as client:
        assert (await client.end(path, token)).status_code == 503


async def test_what_a_store_tells_itself_is_told_on() -> None:
    class Full(MemoryRefreshStore):
        async def add(self, session: Any) -> None:
            raise ServiceUnavailableError("No room.", retry_after_seconds=60)

    async with House(Full()).client() as client:
        response = await client.try_log_in()

    is_refused(response, "temporarily_unavailable", 503)
    assert (response.json()["detail"], response.headers["retry-after"]) == ("No room.", "60")


async def test_a_missing_table_is_503_and_named_in_the_log(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        Database(f"sqlite:///{tmp_path / 'empty.db'}") as db,
        House(SQLAlchemyRefreshStore(db)).client() as client,
    ):
        is_refused(await client.try_log_in(), "temporarily_unavailable", 503)

    assert "does not answer: OperationalError" in caplog.text


# --- how it is put together


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"idle": timedelta(0)}, "idle=0:00:00 is not from a second"),
        ({"idle": timedelta(days=61)}, "to absolute=60 days"),
        ({"clock": datetime.now}, "naive"),
    ],
)
def test_refresh_tokens_that_cannot_work_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RefreshTokens(MemoryRefreshStore(), **options)


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ({"tokens"}, "'tokens'"),
        ("token", "is one string"),
        ({"refresh"}, "give auth_router"),
        ({"token", "logout"}, "could end nothing"),
        ({"revoke", "logout_all"}, "could end nothing"),
    ],
)
def test_routes_that_cannot_work_are_refused(include: Any, message: str) -> None:
    with pytest.raises((ConfigurationError, TypeError), match=message):
        auth_router(make_auth(), include=include)


def paths_of(house: House) -> set[str]:
    return {path for path in house.app.openapi()["paths"] if path.startswith("/auth")}


ALL = {f"/auth/{name}" for name in ("token", "refresh", "revoke", "logout", "logout-all")}


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({}, ALL),
        ({"refresh": None}, {"/auth/token"}),
        ({"include": {"token", "revoke"}}, {"/auth/token", "/auth/revoke"}),
        ({"refresh": None, "include": {"logout"}}, {"/auth/logout"}),
    ],
)
def test_the_routes_are_those_that_were_asked_for(options: Any, paths: set[str]) -> None:
    assert paths_of(House(options=options)) == paths


def test_openapi_tells_of_each_route_what_it_reads_and_answers() -> None:
    paths = House().app.openapi()["paths"]

    token = paths["/auth/token"]["post"]["requestBody"]["content"]
    assert token["application/x-www-form-urlencoded"]["schema"]["required"] == ["grant_type"]
    for name in ("token", "refresh", "revoke"):
        assert paths[f"/auth/{name}"]["post"]["responses"].keys() == {"200", "400", "429", "503"}
    for name in ("logout", "logout-all"):
        operation = paths[f"/auth/{name}"]["post"]
        assert operation["responses"].keys() == {"204", "401", "503"}
        assert operation["security"] == [{"OAuth2PasswordBearer": []}]
