"""The shop keeps the contract of its routes, on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest
from httpx import AsyncClient

from examples.shop.app import create_app
from examples.shop.demo import PASSWORD
from examples.shop.settings import Settings
from fastapi_kit.testing import app_client, assert_problem
from tests.shop.conftest import log_in

NEW_ITEM = {"name": "Lamp", "category": "kitchen", "price": "12.5", "stock": 3}
REGISTRATION = {"name": "Ann", "email": "Ann@Example.com", "password": "a long password"}


async def test_items_are_listed_by_page_with_their_total(client: AsyncClient) -> None:
    response = await client.get("/api/v1/items", params={"page": 2, "size": 7})

    page = response.json()
    assert [item["id"] for item in page.pop("items")] == [8, 9, 10, 11, 12, 13, 14]
    assert page == {"total": 500, "page": 2, "size": 7, "pages": 72}
    assert 'rel="next"' in response.headers["link"]


async def test_demo_items_have_tied_prices_and_missing_ratings(client: AsyncClient) -> None:
    response = await client.get("/api/v1/items", params={"size": 100})

    items = response.json()["items"]
    assert any(item["rating"] is None for item in items)
    assert len({item["price"] for item in items}) < 10


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_an_item_has_the_fields_of_the_contract(client: AsyncClient, version: str) -> None:
    response = await client.get(f"/api/{version}/items/1")

    assert list(response.json()) == [
        "id",
        "name",
        "category",
        "price",
        "rating",
        "owner_id",
        "created_at",
        "version",
    ]
    assert response.json()["created_at"].endswith("Z")


async def test_an_unknown_item_is_a_problem_of_its_own(client: AsyncClient) -> None:
    response = await client.get("/api/v1/items/9999")

    assert_problem(response, 404, type="/problems/item-not-found")


@pytest.mark.parametrize("item_id", ["0", "-1", "99999999999999999999", "x"])
async def test_an_id_that_no_item_can_have_is_422(client: AsyncClient, item_id: str) -> None:
    response = await client.get(f"/api/v1/items/{item_id}")

    assert_problem(response, 422)


async def test_a_registered_user_can_log_in(client: AsyncClient) -> None:
    registered = await client.post("/api/v1/auth/register", json=REGISTRATION)
    form = {
        "grant_type": "password",
        "username": "ann@example.com",
        "password": "a long password",
    }
    token = (await client.post("/api/v1/auth/token", data=form)).json()["access_token"]
    me = await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})

    assert registered.status_code == 201
    assert registered.json() == me.json()
    assert me.json()["email"] == "ann@example.com"
    assert me.json()["role"] == "viewer"
    assert "password" not in registered.text


async def test_an_email_address_registers_once(client: AsyncClient) -> None:
    taken = {**REGISTRATION, "email": "ADMIN@example.com"}

    response = await client.post("/api/v1/auth/register", json=taken)

    assert_problem(response, 409, type="/problems/email-taken")


async def test_a_password_is_never_echoed(client: AsyncClient) -> None:
    response = await client.post(
        "/api/v1/auth/register", json={**REGISTRATION, "password": "hunter2"}
    )

    assert_problem(response, 422)
    assert "hunter2" not in response.text


async def test_a_wrong_password_is_refused(client: AsyncClient) -> None:
    form = {"grant_type": "password", "username": "admin@example.com", "password": "wrong"}

    response = await client.post("/api/v1/auth/token", data=form)

    assert response.status_code == 400
    assert response.json()["error"] == "invalid_grant"


async def test_users_change_their_own_name(client: AsyncClient) -> None:
    headers = await log_in(client, "viewer")

    changed = await client.patch("/api/v1/users/me", json={"name": "Vi"}, headers=headers)
    unchanged = await client.patch("/api/v1/users/me", json={}, headers=headers)

    assert changed.json()["name"] == "Vi"
    assert unchanged.json()["name"] == "Vi"
    assert (await client.get("/api/v1/users/me", headers=headers)).json()["name"] == "Vi"


async def test_a_name_cannot_be_taken_away(client: AsyncClient) -> None:
    headers = await log_in(client, "viewer")

    response = await client.patch("/api/v1/users/me", json={"name": None}, headers=headers)

    assert_problem(response, 422)


async def test_without_a_token_nobody_is_me(client: AsyncClient) -> None:
    response = await client.get("/api/v1/users/me")

    assert_problem(response, 401)
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_the_admin_lists_users(client: AsyncClient) -> None:
    response = await client.get("/api/v1/users", headers=await log_in(client, "admin"))

    assert [user["role"] for user in response.json()["items"]] == ["admin", "editor", "viewer"]


async def test_nobody_else_lists_users(client: AsyncClient) -> None:
    response = await client.get("/api/v1/users", headers=await log_in(client, "editor"))

    assert_problem(response, 403)


async def test_an_item_is_created_with_the_scope(client: AsyncClient) -> None:
    headers = await log_in(client, "editor", "items:write")

    created = await client.post("/api/v2/items", json=NEW_ITEM, headers=headers)

    assert created.status_code == 201
    assert created.json()["price"] == "12.50"
    read = await client.get(created.headers["location"])
    assert read.json() == created.json()


@pytest.mark.parametrize("who", ["editor", "viewer"])
async def test_an_item_is_not_created_without_the_scope(client: AsyncClient, who: str) -> None:
    headers = await log_in(client, who)

    response = await client.post("/api/v2/items", json=NEW_ITEM, headers=headers)

    assert_problem(response, 403)


async def test_a_viewer_does_not_get_the_scope(client: AsyncClient) -> None:
    form = {
        "grant_type": "password",
        "username": "viewer@example.com",
        "password": PASSWORD,
        "scope": "items:write",
    }

    response = await client.post("/api/v1/auth/token", data=form)

    assert "items:write" not in response.json().get("scope", "")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health"])
async def test_operations_ask_for_health(client: AsyncClient, path: str) -> None:
    response = await client.get(path)

    assert response.status_code == 200


async def test_the_page_names_the_demo_log_ins(client: AsyncClient) -> None:
    response = await client.get("/")

    assert response.headers["content-type"].startswith("text/html")
    assert "viewer@example.com" in response.text
    assert PASSWORD in response.text
    assert "outbox" in response.text


async def test_the_docs_load_nothing_from_elsewhere(client: AsyncClient) -> None:
    response = await client.get("/docs")

    assert response.status_code == 200
    assert "https://" not in response.text


async def test_a_second_start_finds_its_data(empty: Settings) -> None:
    async with app_client(create_app(empty)) as client:
        await client.post("/api/v1/auth/register", json=REGISTRATION)

    async with app_client(create_app(empty)) as client:
        users = await client.get("/api/v1/users", headers=await log_in(client, "admin"))

    assert users.json()["total"] == 4


async def test_the_first_page_names_the_address_that_it_was_asked_at(tmp_path: Path) -> None:
    settings = Settings.for_tests(database_url=f"sqlite:///{tmp_path}/shop.db")

    async with app_client(create_app(settings)) as client:
        home = await client.get("/", headers={"Host": "shop.example:81"})

    assert "curl -i 'http://shop.example:81/api/v1/items?size=2'" in home.text


async def test_production_has_no_demo_users(tmp_path: Path) -> None:
    settings = Settings.for_tests(
        environment="production",
        secret_key="v7Qm2xT9pLz4Rk8Nw3Hs6Yd1Bf5Gj0Uc",
        database_url=f"sqlite:///{tmp_path}/shop.db",
    )
    async with app_client(create_app(settings)) as client:
        home = await client.get("/")
        items = await client.get("/api/v1/items")

    assert PASSWORD not in home.text
    assert items.json()["total"] == 0


async def test_the_models_are_what_the_migrations_make(empty: Settings) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import Connection

    from examples.shop.users.models import User
    from fastapi_kit.db import Database

    # Others' tests put their tables into the same metadata.
    ours = {"users", "items", "orders", "auth_refresh_sessions", "auth_deny_list"}
    options = {"include_object": lambda _, name, kind, *__: kind != "table" or name in ours}

    def differences(connection: Connection) -> object:
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, User.metadata)

    async with (
        app_client(create_app(empty)),
        Database(empty.database_url) as db,
        db.engine.connect() as connection,
    ):
        assert await connection.run_sync(differences) == []
