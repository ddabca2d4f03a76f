"""A client that is generated from the shop's OpenAPI document gets along with the shop."""

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient

from examples.shop.app import create_app
from examples.shop.settings import Settings
from tests.shop.conftest import log_in

CONFIG = {"package_name_override": "shop_client", "post_hooks": []}
FILTERS: dict[str, Any] = {
    "category": ["books", "tools"],
    "min_price": "9.90",
    "max_price": 49,
    "q": "l",
}


@pytest.fixture(scope="module", autouse=True)
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The package ``shop_client``, made of the document without a warning."""
    folder = tmp_path_factory.mktemp("generated")
    document, config, out = folder / "openapi.json", folder / "config.json", folder / "out"
    app = create_app(Settings.for_tests(database_url=f"sqlite:///{folder}/shop.db"))
    document.write_text(json.dumps(app.openapi()))
    config.write_text(json.dumps(CONFIG))
    _generate("--path", document, "--config", config, "--output-path", out, "--fail-on-warning")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(out))
        yield
    for name in [name for name in sys.modules if name.startswith("shop_client")]:
        del sys.modules[name]


def _generate(*arguments: Path | str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def route(name: str) -> Any:
    """The generated function that calls a route, by its tag and operation id."""
    return import_module(f"shop_client.api.{name}").asyncio


def model(name: str, module: str) -> Any:
    return getattr(import_module(f"shop_client.models.{module}"), name)


def with_transport(client: AsyncClient) -> Any:
    generated: Any = import_module("shop_client.client").Client(base_url="http://testserver")
    return generated.set_async_httpx_client(client)


async def expected(client: AsyncClient) -> list[int]:
    """The items that the filters keep, dear ones first, by Python's own reckoning."""
    pages = [await client.get(f"/api/v1/items?size=100&page={n}") for n in range(1, 6)]
    items = [item for page in pages for item in page.json()["items"]]
    kept = [
        item
        for item in items
        if item["category"] in {"books", "tools"}
        and Decimal("9.90") <= Decimal(item["price"]) <= 49
        and "l" in item["name"].lower()
    ]
    assert len(items) == 500
    return [
        item["id"] for item in sorted(kept, key=lambda one: (-Decimal(one["price"]), one["id"]))
    ]


async def test_it_walks_the_items_by_page(client: AsyncClient) -> None:
    list_items = route("items.list_items_api_v1_items_get")
    sort = model("ListItemsApiV1ItemsGetSortItem", "list_items_api_v1_items_get_sort_item")

    seen, page, pages = [], 0, 1
    while page < pages:
        found = await list_items(
            client=with_transport(client),
            page=page + 1,
            size=7,
            sort=[sort.PRICE_DESC, sort.ID],
            **FILTERS,
        )
        seen += [item.id for item in found.items]
        page, pages = found.page, found.pages

    assert seen == await expected(client)
    assert found.total == len(seen)


async def test_it_walks_the_items_by_cursor(client: AsyncClient) -> None:
    list_items = route("items.list_items_api_v2_items_get")
    sort = model("ListItemsApiV2ItemsGetSortItem", "list_items_api_v2_items_get_sort_item")

    seen, cursor = [], import_module("shop_client.types").UNSET
    while cursor is not None:
        found = await list_items(
            client=with_transport(client),
            cursor=cursor,
            size=7,
            sort=[sort.PRICE_DESC, sort.ID],
            **FILTERS,
        )
        seen += [item.id for item in found.items]
        cursor = found.next_

    assert seen == await expected(client)


async def test_it_changes_what_it_is_told_and_nothing_else(client: AsyncClient) -> None:
    """Defaults in the schema of a PATCH would be sent, and overwrite what was not given."""
    client.headers.update(await log_in(client, "editor", "items:write"))
    lamp = {"name": "Lamp", "category": "kitchen", "price": "12.50", "stock": 3}
    offered = (await client.post("/api/v2/items", json=lamp)).json()

    changed = await route("items.change_item_api_v2_items_item_id_patch")(
        client=with_transport(client),
        item_id=offered["id"],
        body=model("ItemChange", "item_change")(price="9"),
        if_match='"1"',
    )

    read = await client.get(f"/api/v2/items/{changed.id}")
    assert read.json() == {**offered, "price": "9.00", "version": 2}
    order = {"item_id": offered["id"], "quantity": 3}  # the stock is still what it was
    assert (await client.post("/api/v2/orders", json=order)).status_code == 201
