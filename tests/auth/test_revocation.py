"""Ending sessions: revocation by RFC 7009, log-out, and a password change."""

from typing import Any

import pytest

from fastapi_kit.auth import MemoryDenyList, RefreshStore, end_every_session
from tests.auth.accounts import HASHER
from tests.auth.sessions import House, is_refused


async def test_a_revoked_refresh_token_ends_its_session(store: RefreshStore) -> None:
    house = House(store)
    async with house.client() as client:
        body = await client.log_in()

        response = await client.post("revoke", token=body["refresh_token"])

        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["cache-control"] == "no-store"
        is_refused(await client.try_refresh(body["refresh_token"]))
        assert await client.me(body["access_token"]) == 401
    assert (house.events[1].name, house.events[1].subject) == ("revoke", "1")


async def test_a_token_that_was_used_before_ends_the_session_too() -> None:
    async with House().client() as client:
        first = await client.log_in()
        second = await client.refresh(first["refresh_token"])

        await client.post("revoke", token=first["refresh_token"])

        is_refused(await client.try_refresh(second["refresh_token"]))


async def test_a_revoked_access_token_is_refused_and_its_session_goes_on() -> None:
    async with House().client() as client:
        body = await client.log_in()

        response = await client.post("revoke", token=body["access_token"])

        assert response.status_code == 200
        assert await client.me(body["access_token"]) == 401
        await client.refresh(body["refresh_token"])


async def test_without_a_deny_list_an_access_token_cannot_be_revoked() -> None:
    """RFC 7009 section 2.2.1; 200 would say that it had been."""
    async with House(denylist=None).client() as client:
        body = await client.log_in()

        response = await client.post("revoke", token=body["access_token"])

        is_refused(response, "unsupported_token_type")


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "no such kind", "é"])
@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_the_hint_may_be_wrong(kind: str, hint: str) -> None:
    async with House().client() as client:
        body = await client.log_in()

        response = await client.post("revoke", token=body[kind], token_type_hint=hint)

        assert response.status_code == 200
        if kind == "access_token":
            assert await client.me(body["access_token"]) == 401
        else:
            is_refused(await client.try_refresh(body["refresh_token"]))


@pytest.mark.parametrize("token", ["x", "A" * 64, "a.b.c", "é", "\x00"])
async def test_an_unknown_token_is_200_and_no_event(token: str) -> None:
    house = House()
    async with house.client() as client:
        assert (await client.post("revoke", token=token)).status_code == 200

    assert house.events == []


async def test_a_token_is_revoked_twice_without_complaint() -> None:
    async with House().client() as client:
        token = (await client.log_in())["refresh_token"]

        answers = [(await client.post("revoke", token=token)).status_code for _ in range(2)]

    assert answers == [200, 200]


@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token": "x" * 8193}])
async def test_a_revocation_needs_a_token(form: dict[str, str]) -> None:
    async with House().client() as client:
        is_refused(await client.post("revoke", **form or {"other": "1"}), "invalid_request")


async def test_an_access_token_is_revoked_where_there_are_no_refresh_tokens() -> None:
    house = House(options={"refresh": None, "include": {"token", "revoke"}})
    async with house.client() as client:
        token = (await client.log_in())["access_token"]
        await client.post("revoke", token=token)

        assert await client.me(token) == 401


# --- log-out


async def test_a_log_out_ends_this_session_and_no_other(store: RefreshStore) -> None:
    house = House(store)
    async with house.client() as client:
        mine = await client.log_in()
        house.clock.advance(microseconds=1)
        other = await client.log_in()

        response = await client.end("logout", mine["access_token"])

        assert (response.status_code, response.content) == (204, b"")
        assert response.headers["cache-control"] == "no-store"
        assert await client.me(mine["access_token"]) == 401
        is_refused(await client.try_refresh(mine["refresh_token"]))
        assert await client.me(other["access_token"]) == 200
        await client.refresh(other["refresh_token"])
    assert house.events[2].name == "logout"


async def test_a_log_out_ends_every_access_token_of_the_session() -> None:
    house = House()
    async with house.client() as client:
        first = await client.log_in()
        house.clock.advance(minutes=10)
        second = await client.refresh(first["refresh_token"])

        await client.end("logout", first["access_token"])

        assert await client.me(second["access_token"]) == 401
        is_refused(await client.try_refresh(second["refresh_token"]))


async def test_without_a_deny_list_a_log_out_ends_the_refreshing() -> None:
    async with House(denylist=None).client() as client:
        body = await client.log_in()

        assert (await client.end("logout", body["access_token"])).status_code == 204

        assert await client.me(body["access_token"]) == 200
        is_refused(await client.try_refresh(body["refresh_token"]))


async def test_without_refresh_tokens_a_log_out_ends_the_access_token() -> None:
    house = House(options={"refresh": None, "include": {"token", "logout", "logout_all"}})
    async with house.client() as client:
        for path in ("logout", "logout-all"):
            token = (await client.log_in())["access_token"]
            house.clock.advance(seconds=1)
            assert (await client.end(path, token)).status_code == 204
            assert await client.me(token) == 401


async def test_an_access_token_that_no_log_in_made_can_log_out() -> None:
    house = House()
    token = house.auth.create_access_token(subject="1")
    async with house.client() as client:
        assert (await client.end("logout", token)).status_code == 204
        assert await client.me(token) == 401


async def test_logging_out_everywhere_ends_all_sessions_of_the_caller(store: RefreshStore) -> None:
    house = House(store)
    async with house.client() as client:
        mine = [await client.log_in() for _ in range(2)]
        others = await client.log_in("bob")
        house.clock.advance(seconds=1)

        response = await client.end("logout-all", mine[0]["access_token"])

        assert response.status_code == 204
        for body in mine:
            assert await client.me(body["access_token"]) == 401
            is_refused(await client.try_refresh(body["refresh_token"]))
        assert await client.me(others["access_token"]) == 200
        await client.refresh(others["refresh_token"])
    assert house.events[3].name == "logout_all"


@pytest.mark.parametrize("path", ["logout", "logout-all"])
async def test_who_is_not_logged_in_cannot_log_out(path: str) -> None:
    async with House().client() as client:
        without = await client.post(path)
        invalid = await client.end(path, "x")

    assert (without.status_code, without.headers["www-authenticate"]) == (401, "Bearer")
    assert (invalid.status_code, "invalid_token" in str(invalid.headers)) == (401, True)


# --- a password change


@pytest.mark.parametrize("denylist", [MemoryDenyList, lambda: None])
async def test_a_password_change_ends_every_session(store: RefreshStore, denylist: Any) -> None:
    house = House(store, denylist=denylist())
    async with house.client() as client:
        before = [await client.log_in() for _ in range(2)]
        house.clock.advance(seconds=1)

        house.accounts.rows[0].password_hash = await HASHER.hash("a new password of some length")
        await end_every_session(house.auth, house.refresh, "1")

        for body in before:
            is_refused(await client.try_refresh(body["refresh_token"]))
            assert await client.me(body["access_token"]) == (200 if house.denylist is None else 401)
        is_refused(await client.try_log_in())
        new = await client.try_log_in(password="a new password of some length")
        assert await client.me(new.json()["access_token"]) == 200
        await client.refresh(new.json()["refresh_token"])


async def test_what_the_deny_list_alone_was_told_ends_refreshing_too() -> None:
    house = House()
    async with house.client() as client:
        before = await client.log_in()
        house.clock.advance(microseconds=1)
        await house.auth.end_all_sessions("1")
        after = await client.log_in()

        is_refused(await client.try_refresh(before["refresh_token"]))
        await client.refresh(after["refresh_token"])

    assert "all sessions of the subject were ended" in [event.reason for event in house.events]
    assert len(house.store) == 1


async def test_a_deny_list_that_is_down_stops_refreshing() -> None:
    class Down(MemoryDenyList):
        async def is_denied(self, *args: Any, **named: Any) -> bool:
            raise ConnectionError

    house = House()
    async with house.client() as client:
        token = (await client.log_in())["refresh_token"]
    async with House(house.store, denylist=Down()).client() as client:
        is_refused(await client.try_refresh(token), "temporarily_unavailable", 503)

    async with house.client() as client:
        await client.refresh(token)
