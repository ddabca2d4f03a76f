"""Whatever a stranger sends to the shop's listings is answered, or refused by name."""

from urllib.parse import quote

import pytest
from httpx import AsyncClient

from fastapi_kit.testing import assert_problem
from tests.shop.conftest import log_in

HUGE = 60_000  # characters; the client sends no longer URLs
NASTY = [
    *("", " ", "0", "-1", "-0", "+1", "1_0", "1.5", "1e2", "0x1", "null", "[1]", "1\r\n", "--id"),
    *("nan", "inf", "-Infinity", "1e999999", "1e-999999", "0.001", "9" * 4999, "1" * HUGE),
    *(
        str(2**31),
        str(2**63 - 1),
        str(2**63),
        str(-(2**64)),
        "\u0663",
        "\uff15",
        "\U0001d7d9",
        "²",
        "\u2212id",
    ),
    *("\0", "a\0b", "%", "_", "\\", "'; --", "x" * HUGE, "😀" * 201, "İ", "\ufffe", "\u202e"),
    *("id,price", "ID", "__class__", "password_hash", "owner_id", "stock"),
]
RAW = ["%FF", "%ED%A0%80", "%", "%zz", "%C2", "a&a", "1&1", "&", "=1", "1;2"]


@pytest.mark.parametrize(
    "name", ["page", "size", "sort", "q", "category", "min_price", "max_price"]
)
async def test_any_value_is_answered_or_refused_by_name(client: AsyncClient, name: str) -> None:
    path = f"/api/{'v1' if name == 'page' else 'v2'}/items"

    for value in [*map(quote, NASTY), *RAW]:
        response = await client.get(f"{path}?{name}={value}")
        if response.status_code != 200:
            problem = assert_problem(response, 422)
            assert {error["name"].split(".")[0] for error in problem["errors"]} == {name}, value


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("sort=id&" * 7000, "sort"),
        ("sort=price&sort=-price", "sort"),
        ("size=1&size=0", "size"),
        ("".join(f"category={n}&" for n in range(101)), "category"),
        ("min_price=1&min_price=nan", "min_price"),
    ],
    ids=["many-terms", "both-directions", "last-of-two", "many-values", "last-is-nan"],
)
async def test_repeated_parameters_are_refused_by_name(
    client: AsyncClient, query: str, name: str
) -> None:
    problem = assert_problem(await client.get(f"/api/v2/items?{query}"), 422)

    assert [error["name"] for error in problem["errors"]] == [name]


async def test_a_cursor_altered_anywhere_is_refused(client: AsyncClient) -> None:
    """Never answered with page one."""
    cursor = (await client.get("/api/v2/items?sort=-rating")).json()["next"]
    edited = [
        cursor[:place] + letter + cursor[place + 1 :]
        for place in range(len(cursor))
        for letter in ("", "A" if cursor[place] != "A" else "B", "=", "é", "\0")
    ]

    for altered in [*edited, cursor * 2, cursor[::-1], cursor + "=", "", "A" * 15, "A" * HUGE]:
        response = await client.get("/api/v2/items", params={"sort": "-rating", "cursor": altered})
        assert_problem(response, 400, type="/problems/invalid-cursor")


async def test_a_cursor_fits_its_listing_and_its_user_only(client: AsyncClient) -> None:
    users = {who: await log_in(client, who) for who in ("admin", "viewer")}
    for headers in users.values():
        for item_id in (1, 2, 3):
            order = {"item_id": item_id, "quantity": 1}
            await client.post("/api/v2/orders", json=order, headers=headers)
    mine = (await client.get("/api/v2/orders?size=1", headers=users["viewer"])).json()["next"]
    items = (await client.get("/api/v2/items?sort=-id")).json()["next"]

    own = await client.get(f"/api/v2/orders?cursor={mine}", headers=users["viewer"])
    assert len(own.json()["items"]) == 2

    for path, cursor, who in [
        ("/api/v2/orders", mine, "admin"),
        ("/api/v2/orders", items, "viewer"),
        ("/api/v2/items?sort=-id", mine, "viewer"),
        ("/api/v2/items?sort=id", items, "viewer"),
        ("/api/v2/items?sort=-id&q=a", items, "viewer"),
    ]:
        response = await client.get(
            f"{path}{'&' if '?' in path else '?'}cursor={cursor}", headers=users[who]
        )
        assert_problem(response, 400, type="/problems/invalid-cursor")
