"""A client that is generated from the OpenAPI document walks the listings."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx import ASGITransport
from sqlalchemy.ext.asyncio import AsyncSession

from .listings import make_app

CONFIG = {"package_name_override": "items_client", "post_hooks": []}


@pytest.fixture
def generated(
    memory: AsyncSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(make_app(memory).openapi()))
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    command = ["generate", "--path", document, "--config", config, "--output-path", tmp_path / "out", "--fail-on-warning"]  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    monkeypatch.syspath_prepend(str(tmp_path / "out"))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("items_client")]:
        del sys.modules[name]


@pytest.mark.usefixtures("generated")
async def test_a_generated_client_walks_the_listing(memory: AsyncSession) -> None:
    def part(name: str) -> Any:
        return importlib.import_module(f"items_client.{name}")

    list_items = part("api.default.items_items_get").asyncio
    sort = part("models.items_items_get_sort_item").ItemsItemsGetSortItem
    unset = part("types").UNSET
    client = part("client").Client(base_url="http://test")
    client.set_async_httpx_client(
        httpx.AsyncClient(transport=ASGITransport(make_app(memory)), base_url="http://test")
    )

    seen, cursor = [], unset
    while cursor is not None:
        page = await list_items(
            client=client, cursor=cursor, size=7, sort=[sort.PRICE_DESC, sort.ID], min_price=1
        )
        seen += [item.id for item in page.items]
        cursor = page.next_

    assert seen == [*range(2, 31, 3), *range(1, 31, 3)]
