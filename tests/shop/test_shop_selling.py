"""Items are found, changed and bought as the contract says."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from httpx import AsyncClient

from fastapi_kit.testing import assert_problem
from tests.shop.conftest import log_in

LAMP = {"name": "Lamp 100%", "category": "kitchen", "price": "12.50", "stock": 3}


async def offer(client: AsyncClient, headers: dict[str, str], **values: object) -> dict[str, Any]:
    response = await client.post("/api/v2/items", json={**LAMP, **values}, headers=headers)
    assert response.status_code == 201, response.text
    item: dict[str, Any] = response.json()
    return item


@pytest.fixture
async def editor(client: AsyncClient) -> dict[str, str]:
    return await log_in(client, "editor", "items:write")


@pytest.fixture
async def admin(client: AsyncClient) -> dict[str, str]:
    return await log_in(client, "admin", "items:write")


async def test_a_price_is_answered_as_it_will_be_read(
    client: AsyncClient, editor: dict[str, str]
) -> None:
    lamp = await offer(client, editor, price="-0")

    assert lamp["price"] == "0.00"
    assert (await client.get(f"/api/v2/items/{lamp['id']}")).json() == lamp


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_items_are_filtered_and_sorted(client: AsyncClient, version: str) -> None:
    params = {
        "category": ["books", "tools"],
        "min_price": "9.90",
        "max_price": "49",
        "sort": ["-price", "name"],
        "size": "100",
    }

    items = (await client.get(f"/api/{version}/items", params=params)).json()["items"]

    assert {item["category"] for item in items} == {"books", "tools"}
    found = [(-Decimal(item["price"]), item["name"], item["id"]) for item in items]
    assert found == sorted(found)
    assert all(Decimal("9.90") <= -price <= 49 for price, _, _ in found)


async def test_a_search_takes_its_text_literally(
    client: AsyncClient, editor: dict[str, str]
) -> None:
    lamp = await offer(client, editor)

    found = await client.get("/api/v1/items", params={"q": "100%"})

    assert [item["id"] for item in found.json()["items"]] == [lamp["id"]]


@pytest.mark.parametrize("sort", ["id", "-rating", "price", "-created"])
async def test_cursors_walk_the_whole_shop_and_back(client: AsyncClient, sort: str) -> None:
    params: dict[str, Any] = {"size": 90, "sort": sort}
    pages: list[dict[str, Any]] = []
    while True:
        pages.append((await client.get("/api/v2/items", params=params)).json())
        if pages[-1]["next"] is None:
            break
        params["cursor"] = pages[-1]["next"]
    seen = [item["id"] for page in pages for item in page["items"]]
    back = await client.get("/api/v2/items", params={**params, "cursor": pages[-1]["previous"]})

    assert sorted(seen) == list(range(1, 501))
    assert back.json()["items"] == pages[-2]["items"]


async def test_a_cursor_of_other_filters_is_refused(client: AsyncClient) -> None:
    first = (await client.get("/api/v2/items", params={"category": "books"})).json()

    response = await client.get("/api/v2/items", params={"cursor": first["next"]})

    assert_problem(response, 400)


@pytest.mark.parametrize(
    "params", [{"sort": "password"}, {"min_price": "-1"}, {"size": 0}, {"category": "\x00"}]
)
async def test_bad_parameters_are_named(client: AsyncClient, params: dict[str, Any]) -> None:
    response = await client.get("/api/v2/items", params=params)

    problem = assert_problem(response, 422)
    assert problem["errors"][0]["name"].split(".")[0] in params


async def test_an_owner_changes_what_is_given_and_nothing_else(
    client: AsyncClient, editor: dict[str, str]
) -> None:
    lamp = await offer(client, editor)

    changed = await client.patch(f"/api/v2/items/{lamp['id']}", json={"price": "9"}, headers=editor)

    assert changed.json() == {**lamp, "price": "9.00", "version": 2}


async def test_a_change_of_an_old_state_is_refused(
    client: AsyncClient, editor: dict[str, str]
) -> None:
    url = f"/api/v2/items/{(await offer(client, editor))['id']}"
    seen = {**editor, "If-Match": (await client.get(url)).headers["etag"]}

    first = await client.patch(url, json={"price": "9"}, headers=seen)
    second = await client.patch(url, json={"price": "8"}, headers=seen)

    assert first.status_code == 200
    assert_problem(second, 412)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_others_change_nothing(
    client: AsyncClient, admin: dict[str, str], editor: dict[str, str], method: str
) -> None:
    lamp = await offer(client, admin)

    response = await client.request(
        method, f"/api/v2/items/{lamp['id']}", json={"price": "1"}, headers=editor
    )

    assert_problem(response, 403)


async def test_an_admin_deletes_what_is_not_their_own(
    client: AsyncClient, admin: dict[str, str], editor: dict[str, str]
) -> None:
    url = f"/api/v2/items/{(await offer(client, editor))['id']}"

    deleted = await client.delete(url, headers=admin)

    assert deleted.status_code == 204
    assert_problem(await client.get(url), 404)


async def test_what_was_ordered_stays(client: AsyncClient, editor: dict[str, str]) -> None:
    lamp = await offer(client, editor)
    await client.post("/api/v2/orders", json={"item_id": lamp["id"], "quantity": 1}, headers=editor)

    response = await client.delete(f"/api/v2/items/{lamp['id']}", headers=editor)

    assert_problem(response, 409)


async def test_orders_are_ones_own_and_newest_first(
    client: AsyncClient, admin: dict[str, str], editor: dict[str, str]
) -> None:
    lamp = await offer(client, editor, stock=10)
    for quantity in (1, 2):
        order = {"item_id": lamp["id"], "quantity": quantity}
        placed = await client.post("/api/v2/orders", json=order, headers=editor)
        assert placed.status_code == 201
        assert placed.json()["unit_price"] == "12.50"

    mine = (await client.get("/api/v2/orders", headers=editor)).json()
    theirs = (await client.get("/api/v2/orders", headers=admin)).json()

    assert [order["quantity"] for order in mine["items"]] == [2, 1]
    assert theirs == {"items": [], "next": None, "previous": None}


async def test_nothing_is_sold_twice_to_fifty_buyers_at_once(
    client: AsyncClient, editor: dict[str, str]
) -> None:
    lamp = await offer(client, editor, stock=20)
    order = {"item_id": lamp["id"], "quantity": 1}

    answers = await asyncio.gather(
        *(client.post("/api/v2/orders", json=order, headers=editor) for _ in range(50))
    )

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] * 20 + [409] * 30
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert_problem(refused, 409, type="/problems/out-of-stock", available=0)
    orders = (await client.get("/api/v2/orders?size=100", headers=editor)).json()["items"]
    assert len(orders) == 20


async def test_what_is_not_there_cannot_be_bought(
    client: AsyncClient, editor: dict[str, str]
) -> None:
    response = await client.post(
        "/api/v2/orders", json={"item_id": 9999, "quantity": 1}, headers=editor
    )

    assert_problem(response, 404, type="/problems/item-not-found")
