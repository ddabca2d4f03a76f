import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
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


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file of the shop with its demo data: copying one is quicker than filling one."""
    folder = tmp_path_factory.mktemp("shop")
    file = folder / "shop.db"
    settings = Settings.for_tests(database_url=f"sqlite:///{file}", mail_folder=folder)

    async def fill() -> None:
        async with app_client(create_app(settings)):
            pass

    anyio.run(fill)
    return file


@pytest.fixture
async def client(settings: Settings, filled: Path, tmp_path: Path) -> AsyncIterator[AsyncClient]:
    shutil.copyfile(filled, tmp_path / "shop.db")  # only looked at where SQLite is
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
