"""Page types, and pages of what is in memory."""

from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

import fastapi_kit.pagination as block
from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination import (
    Page,
    PaginationDep,
    PaginationParams,
    SkipLimitDep,
    SkipLimitPage,
    SkipLimitParams,
    paginate_sequence,
)


class Song(BaseModel):
    title: str


class SongPage(Page[Song]):
    """One page of songs."""

    genre: str = "any"


@dataclass
class Record:
    title: str


def make_song_of_another_module() -> type[BaseModel]:
    class Song(BaseModel):
        name: str

    Song.__module__ = "elsewhere"
    Song.__qualname__ = "Song"
    return Song


def test_a_page_says_where_it_stands() -> None:
    page = paginate_sequence(range(25), PaginationParams(page=3), into=Page[int])

    assert page.model_dump() == {
        "items": [20, 21, 22, 23, 24],
        "total": 25,
        "page": 3,
        "size": 10,
        "pages": 3,
    }


def test_a_part_says_where_it_stands() -> None:
    page = paginate_sequence(range(25), SkipLimitParams(skip=22), into=SkipLimitPage[int])

    assert page.model_dump() == {"items": [22, 23, 24], "total": 25, "skip": 22, "limit": 10}


def test_nothing_has_no_pages() -> None:
    page = paginate_sequence((), PaginationParams(), into=Page[int])

    assert (page.items, page.total, page.pages) == ([], 0, 0)


def test_a_page_past_the_end_is_empty() -> None:
    page = paginate_sequence([1, 2], PaginationParams(page=9), into=Page[int])

    assert (page.items, page.total, page.pages) == ([], 2, 1)


def test_items_are_read_by_key_or_by_attribute() -> None:
    rows = [{"title": "a"}, Record("b"), Song(title="c")]

    page = paginate_sequence(rows, PaginationParams(), into=SongPage)

    assert type(page) is SongPage
    assert [song.title for song in page.items] == ["a", "b", "c"]


def test_without_into_the_items_stay_as_they_are() -> None:
    record = Record("a")

    page = paginate_sequence((record,), PaginationParams())

    assert page.items == [record]
    assert page.items[0] is record


def test_only_the_own_rows_are_validated() -> None:
    rows = [{"title": "a"}, {"wrong": "b"}]

    page = paginate_sequence(rows, PaginationParams(size=1), into=Page[Song])

    assert page.items == [Song(title="a")]
    with pytest.raises(ValidationError):
        paginate_sequence(rows, PaginationParams(page=2, size=1), into=Page[Song])


def test_a_page_of_the_other_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"into=Page\[int\] does not fit SkipLimitParams"):
        paginate_sequence([1], SkipLimitParams(), into=Page[int])  # type: ignore[type-var]
    with pytest.raises(ConfigurationError, match="does not fit PaginationParams"):
        paginate_sequence([1], PaginationParams(), into=SkipLimitPage[int])  # type: ignore[type-var]


@given(total=st.integers(0, 60), size=st.integers(1, 20))
def test_all_pages_together_are_the_sequence(total: int, size: int) -> None:
    first = paginate_sequence(range(total), PaginationParams(size=size))
    pages = [
        paginate_sequence(range(total), PaginationParams(page=number + 1, size=size))
        for number in range(first.pages)
    ]

    assert [item for page in pages for item in page.items] == list(range(total))
    assert all(len(page.items) == size for page in pages[:-1])


def make_app() -> FastAPI:
    app = FastAPI()
    other: Any = make_song_of_another_module()

    @app.get("/songs")
    async def songs(params: PaginationDep) -> Page[Song]:
        return paginate_sequence([Record("a")], params, into=Page[Song])

    @app.get("/named")
    async def named(params: PaginationDep) -> SongPage:
        return paginate_sequence([Record("a")], params, into=SongPage)

    @app.get("/other", response_model=Page[other])
    async def other_songs(params: PaginationDep) -> Page[dict[str, str]]:
        return paginate_sequence([{"name": "a"}], params)

    @app.get("/parts", response_model=SkipLimitPage[Song])
    async def parts(params: SkipLimitDep) -> SkipLimitPage[Record]:
        return paginate_sequence([Record("a")], params)

    return app


@pytest.mark.parametrize(
    ("path", "items"),
    [
        ("/songs", [{"title": "a"}]),
        ("/named", [{"title": "a"}]),
        ("/other", [{"name": "a"}]),
        ("/parts", [{"title": "a"}]),
    ],
)
async def test_fastapi_answers_with_the_page(path: str, items: list[dict[str, str]]) -> None:
    async with AsyncClient(transport=ASGITransport(make_app()), base_url="http://test") as client:
        response = await client.get(path)

    assert response.json()["items"] == items
    assert response.json()["total"] == 1


async def test_page_types_never_share_a_schema() -> None:
    """Two classes of one name give two pages; a subclass names its own."""
    async with AsyncClient(transport=ASGITransport(make_app()), base_url="http://test") as client:
        document = (await client.get("/openapi.json")).json()

    schemas = document["components"]["schemas"]
    names = [
        operation["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        for operation in document["paths"].values()
    ]
    assert len(set(names)) == 4
    items = [
        schemas[name.rpartition("/")[2]]["properties"]["items"]["items"]["$ref"] for name in names
    ]
    assert items[0] == items[1] == items[3] != items[2]
    assert names[1] == "#/components/schemas/SongPage"
    assert schemas["SongPage"]["description"] == "One page of songs."


def test_exported_names_are_there_and_sorted() -> None:
    assert sorted(block.__all__) == block.__all__
    assert all(getattr(block, name) is not None for name in block.__all__)
    assert set(block.__all__) <= set(dir(block))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'paginat'"):
        _ = block.paginat  # type: ignore[attr-defined]
