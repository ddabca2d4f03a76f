import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from examples.shop.app import create_app
from examples.shop.demo import PASSWORD
from examples.shop.settings import Settings
from fastapi_kit.testing import app_client
from tests.conftest import PostgresServer

# For so few rows DELETE is quicker than TRUNCATE, which makes and removes files.
RESTORE = """
DELETE FROM auth_refresh_sessions;
DELETE FROM auth_deny_list;
DELETE FROM orders;
DELETE FROM items;
DELETE FROM users;
INSERT INTO users TABLE filled.users;
INSERT INTO items TABLE filled.items;
SELECT setval('users_id_seq', max(id)) FROM users;
SELECT setval('items_id_seq', max(id)) FROM items;
SELECT setval('orders_id_seq', 1, false);
"""


@dataclass(frozen=True)
class Shop:
    """A shop that each test starts anew; making and filling it takes longer than most tests.

    What the app itself remembers lasts: which log-ins failed, and for a second what health found.
    """

    app: FastAPI
    settings: Settings
    restore: Callable[[], None]
    """Brings back its demo data and takes its mails away."""


def filled(database_url: str, mail_folder: Path) -> tuple[FastAPI, Settings]:
    settings = Settings.for_tests(database_url=database_url, mail_folder=mail_folder)
    app = create_app(settings)

    async def start() -> None:
        async with app_client(app):
            pass

    anyio.run(start)
    return app, settings


@pytest.fixture(scope="session")
def sqlite_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    app, settings = filled(f"sqlite:///{folder}/shop.db", folder / "outbox")
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("filled") / "shop")

    def restore() -> None:
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)

    return Shop(app, settings, restore)


@pytest.fixture(scope="session")
def postgres_shop(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    outbox = tmp_path_factory.mktemp("shop") / "outbox"
    with postgres.new_database() as url, postgres.connect(url) as connection:
        app, settings = filled(url, outbox)
        connection.execute("CREATE SCHEMA filled")
        for table in ("users", "items"):
            connection.execute(f"CREATE TABLE filled.{table} AS TABLE {table}")

        def restore() -> None:
            shutil.rmtree(outbox, ignore_errors=True)
            connection.execute(RESTORE)

        yield Shop(app, settings, restore)


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest) -> Shop:
    """The shop as it is after its first start."""
    shop: Shop = request.getfixturevalue(f"{request.param}_shop")
    shop.restore()
    return shop


@pytest.fixture
def settings(shop: Shop) -> Settings:
    return shop.settings


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[AsyncClient]:
    async with app_client(shop.app) as client:
        yield client


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Of a shop that was never started: its database has no tables."""
    url = (
        f"sqlite:///{tmp_path}/shop.db"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    return Settings.for_tests(database_url=url, mail_folder=tmp_path / "outbox")


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
