"""`walk` goes through sound listings, and tells what is wrong with others."""

from typing import Any

import pytest
from fastapi import FastAPI, Response
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_kit.pagination import (
    Page,
    PaginationDep,
    SkipLimitDep,
    SkipLimitPage,
    paginate_sequence,
)
from fastapi_kit.testing.walk import walk

from .listings import client_of, make_app


async def test_pages_parts_and_cursors_are_walked(memory: AsyncSession) -> None:
    app = make_app(memory)

    @app.get("/numbers")
    async def numbers(params: PaginationDep) -> Page[int]:
        return paginate_sequence(range(30), params, into=Page[int])

    @app.get("/parts")
    async def parts(params: SkipLimitDep) -> SkipLimitPage[int]:
        return paginate_sequence(range(30), params, into=SkipLimitPage[int])

    async with client_of(app) as client:
        items = await walk(client, "/items?sort=-price&sort=id")
        assert await walk(client, "/numbers") == [*range(30)]
        assert await walk(client, "/parts", size_parameter="limit") == [*range(30)]

    assert [item["id"] for item in items] == sorted(range(1, 31), key=lambda n: (-(n % 3), n))


Pages = dict[int, tuple[Any, str]]


def listing(pages: Pages) -> FastAPI:
    """An app whose pages, by number, have these bodies and ``Link`` headers."""
    app = FastAPI()

    @app.get("/")
    async def page(response: Response, page: int = 1, cursor: int | None = None) -> Any:
        body, links = pages[page if cursor is None else cursor]
        if links:
            response.headers["Link"] = links
        return body

    return app


def items(*numbers: int, **members: Any) -> dict[str, Any]:
    return {"items": list(numbers), **members}


async def test_a_list_is_walked_by_its_links() -> None:
    pages: Pages = {1: ([1, 2], '<?page=2>; rel="next"'), 2: ([3], '<?page=1>; rel="prev"')}

    async with client_of(listing(pages)) as client:
        assert await walk(client, "/", size=2) == [1, 2, 3]


async def test_cursors_in_the_body_do_where_the_header_has_none() -> None:
    pages: Pages = {1: (items(1, 2, next="2"), ""), 2: (items(3, previous="1"), "")}

    async with client_of(listing(pages)) as client:
        assert await walk(client, "/", size=2) == [1, 2, 3]


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ({1: (items(1), '<?page=1>; rel="next"')}, "a gap|a loop"),
        ({1: (items(1, 2), '<?page=2>; rel="next"'), 2: (items(3, 4), '<?page=2>; rel="next"')}, "a loop"),
        ({1: (items(1), '<?page=2>; rel="next"'), 2: (items(2), "")}, "has 1 items, not 2: a gap"),
        ({1: (items(1, 2), '<?page=2>; rel="next"'), 2: (items(2), "")}, "2 once more: a duplicate"),
        ({1: (items(1, 2, total=3), "")}, "2 items, not 3: a gap"),
        ({1: (items(1, total={"value": 2, "relation": "eq"}), "")}, "1 items, not 2: a gap"),
        (
            {1: (items(1, 2), '<?page=2>; rel="next"'), 2: (items(3), '<?page=3>; rel="prev"'), 3: (items(1), "")},
            "are not those after",
        ),
        ({1: (items(1, 2), '<?page=x>; rel="next"')}, "answered 422"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_together_is_told(pages: Pages, message: str) -> None:
    async with client_of(listing(pages)) as client:
        with pytest.raises(AssertionError, match=message):
            await walk(client, "/", size=2)


async def test_a_total_that_is_not_exact_proves_nothing() -> None:
    pages: Pages = {1: (items(1, total={"value": 9, "relation": "gte"}), "")}

    async with client_of(listing(pages)) as client:
        assert await walk(client, "/") == [1]
