"""Sessions of users begin, go on and end as the contract says."""

import asyncio
from typing import Any

import pytest
from httpx import AsyncClient

from examples.shop.app import create_app
from examples.shop.demo import PASSWORD
from fastapi_kit.testing import app_client, assert_problem
from tests.shop.conftest import Shop, log_in


async def tokens(client: AsyncClient, who: str, password: str = PASSWORD) -> dict[str, Any]:
    form = {"grant_type": "password", "username": f"{who}@example.com", "password": password}
    response = await client.post("/api/v1/auth/token", data=form)
    answer: dict[str, Any] = response.json()
    return answer


async def me(client: AsyncClient, access_token: str) -> int:
    headers = {"Authorization": f"Bearer {access_token}"}
    return (await client.get("/api/v1/users/me", headers=headers)).status_code


async def refreshed(client: AsyncClient, refresh_token: str) -> int:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return (await client.post("/api/v1/auth/refresh", data=form)).status_code


async def test_a_refresh_token_works_once(client: AsyncClient) -> None:
    first = await tokens(client, "viewer")

    assert await refreshed(client, first["refresh_token"]) == 200
    assert await refreshed(client, first["refresh_token"]) == 400


async def test_a_revoked_session_is_over(client: AsyncClient) -> None:
    session = await tokens(client, "viewer")

    revoked = await client.post("/api/v1/auth/revoke", data={"token": session["refresh_token"]})

    assert revoked.status_code == 200
    assert await refreshed(client, session["refresh_token"]) == 400


@pytest.mark.parametrize(("path", "other"), [("logout", 200), ("logout-all", 401)])
async def test_logging_out_ends_one_session_or_all(
    client: AsyncClient, path: str, other: int
) -> None:
    here, there = await tokens(client, "viewer"), await tokens(client, "viewer")
    headers = {"Authorization": f"Bearer {here['access_token']}"}

    left = await client.post(f"/api/v1/auth/{path}", headers=headers)

    assert left.status_code == 204
    assert await me(client, here["access_token"]) == 401
    assert await refreshed(client, here["refresh_token"]) == 400
    assert await me(client, there["access_token"]) == other


async def test_a_new_password_ends_every_session(client: AsyncClient) -> None:
    session = await tokens(client, "viewer")
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    change = {"current_password": PASSWORD, "new_password": "another long password"}

    changed = await client.put("/api/v1/users/me/password", json=change, headers=headers)

    assert changed.status_code == 204
    assert await me(client, session["access_token"]) == 401
    assert await refreshed(client, session["refresh_token"]) == 400
    assert (await tokens(client, "viewer"))["error"] == "invalid_grant"
    assert "access_token" in await tokens(client, "viewer", "another long password")


async def test_a_new_password_wants_the_old_one(client: AsyncClient) -> None:
    headers = await log_in(client, "viewer")
    change = {"current_password": "wrong", "new_password": "another long password"}

    response = await client.put("/api/v1/users/me/password", json=change, headers=headers)

    assert_problem(response, 403, type="/problems/wrong-password")


async def test_a_stolen_token_does_not_serve_to_guess_the_password(shop: Shop) -> None:
    async with app_client(create_app(shop.settings)) as client:  # its memory is its own
        headers = await log_in(client, "viewer")
        change = {"current_password": "wrong", "new_password": "another long password"}
        url = "/api/v1/users/me/password"

        guessed = [await client.put(url, json=change, headers=headers) for _ in range(6)]
        right = await client.put(
            url, json={**change, "current_password": PASSWORD}, headers=headers
        )

    assert [answer.status_code for answer in guessed] == [403] * 5 + [429]
    assert_problem(right, 429)
    assert 0 < int(right.headers["retry-after"]) <= 30


async def test_of_many_new_passwords_at_once_one_is_stored(client: AsyncClient) -> None:
    headers = await log_in(client, "viewer")
    new = [f"another long password, {number}" for number in range(4)]

    answers = await asyncio.gather(
        *(
            client.put(
                "/api/v1/users/me/password",
                json={"current_password": PASSWORD, "new_password": password},
                headers=headers,
            )
            for password in new
        )
    )

    assert [answer.status_code for answer in answers].count(204) == 1
    stored = new[[answer.status_code for answer in answers].index(204)]
    assert "access_token" in await tokens(client, "viewer", stored)


async def test_a_deleted_user_is_out_at_once(client: AsyncClient) -> None:
    session = await tokens(client, "viewer")
    admin = await log_in(client, "admin")

    deleted = await client.delete("/api/v1/admin/users/3", headers=admin)

    assert deleted.status_code == 204
    assert await me(client, session["access_token"]) == 401
    assert (await client.get("/api/v1/users", headers=admin)).json()["total"] == 2


@pytest.mark.parametrize(("user_id", "status"), [(1, 409), (99, 404)])
async def test_not_everyone_can_be_deleted(client: AsyncClient, user_id: int, status: int) -> None:
    response = await client.delete(
        f"/api/v1/admin/users/{user_id}", headers=await log_in(client, "admin")
    )

    assert_problem(response, status)
