from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx import AsyncClient

from examples.shop.app import create_app
from examples.shop.demo import PASSWORD
from examples.shop.settings import Settings
from fastapi_kit.testing import app_client


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = (
        f"sqlite:///{tmp_path}/shop.db"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    return Settings.for_tests(database_url=url, mail_folder=tmp_path / "outbox")


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[AsyncClient]:
    app = create_app(settings)
    async with app_client(app) as client:
        yield client


async def log_in(client: AsyncClient, who: str, scope: str = "") -> dict[str, str]:
    """The header of a user who has logged in."""
    form = {
        "grant_type": "password",
        "username": f"{who}@example.com",
        "password": PASSWORD,
        "scope": scope,
    }
    response = await client.post("/api/v1/auth/token", data=form)
    assert response.status_code == 200, response.text
    return {"Authorization": f"Bearer {response.json()['access_token']}"}
