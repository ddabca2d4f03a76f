"""The example of log-in, refresh and a role does what it shows."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from examples.login import app
from fastapi_kit.testing import app_client, assert_problem


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(app) as client:
        yield client


async def log_in(client: httpx.AsyncClient, username: str) -> dict[str, Any]:
    form = {
        "grant_type": "password",
        "username": username,
        "password": "correct horse battery staple",
    }
    tokens: dict[str, Any] = (await client.post("/auth/token", data=form)).json()
    return tokens


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def test_who_is_logged_in_is_known(client: httpx.AsyncClient) -> None:
    headers = bearer(await log_in(client, "bob"))

    assert (await client.get("/me", headers=headers)).json() == "Hello bob"
    assert_problem(await client.get("/me"), 401)


async def test_reports_are_for_admins(client: httpx.AsyncClient) -> None:
    ann, bob = [bearer(await log_in(client, name)) for name in ("ann", "bob")]

    assert (await client.get("/reports", headers=ann)).status_code == 200
    assert_problem(await client.get("/reports", headers=bob), 403)


async def test_a_refresh_goes_on_without_a_password(client: httpx.AsyncClient) -> None:
    tokens = await log_in(client, "ann")

    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    fresh = (await client.post("/auth/token", data=form)).json()

    assert (await client.get("/reports", headers=bearer(fresh))).status_code == 200


async def test_a_log_out_ends_it(client: httpx.AsyncClient) -> None:
    tokens = await log_in(client, "ann")

    assert (await client.post("/auth/logout", headers=bearer(tokens))).status_code == 204

    assert_problem(await client.get("/me", headers=bearer(tokens)), 401)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await client.post("/auth/token", data=form)).json()["error"] == "invalid_grant"
