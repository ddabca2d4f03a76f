"""Follows a listing through all of its pages, and tells where they do not fit together."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx  # `client`, which the package imports first, tells what to install for it


async def walk(
    client: httpx.AsyncClient, url: str, *, size: int = 7, size_parameter: str = "size"
) -> list[Any]:
    """Give all items of a listing, by its ``next`` links from the first page to the last.

    Then the ``prev`` links are followed back, where there are any, and must give the same pages.
    The listing must stand still meanwhile.

    Args:
        client: Asks for the pages.
        url: The listing, with whatever filters and order.
        size: Items on a page; few, so that there are many pages.
        size_parameter: The query parameter that says so, such as ``limit``.

    Raises:
        AssertionError: A page is no 200 or is the same as one before (a loop), an item comes twice
            (a duplicate), a page in the middle is not full, a way back differs, or there are not as
            many items as the total says (a gap).
    """
    start = httpx.URL(url).copy_merge_params({size_parameter: size})
    pages = await _follow(client, start, "next")
    for page in pages[:-1]:
        found = len(page.items)
        _require(found == size, f"{page.url} has {found} items, not {size}: a gap")
    _check_items(pages)
    back = await _follow(client, pages[-1].url, "prev")
    if len(back) > 1:
        there, again = [page.items for page in pages], [page.items for page in back[::-1]]
        _require(again == there, f"the pages before {pages[-1].url} are not those after {url}")
    return [item for page in pages for item in page.items]


@dataclass(frozen=True)
class _Page:
    url: httpx.URL
    items: list[Any]
    total: int | None
    links: dict[str, str] = field(repr=False)


async def _follow(client: httpx.AsyncClient, url: httpx.URL, relation: str) -> list[_Page]:
    pages = [await _page(client, url)]
    seen = {pages[0].url}
    while relation in pages[-1].links:
        target = pages[-1].url.join(pages[-1].links[relation])
        _require(target not in seen, f"{target} was seen before: a loop")
        seen.add(target)
        pages.append(await _page(client, target))
    return pages


async def _page(client: httpx.AsyncClient, url: httpx.URL) -> _Page:
    response = await client.get(url)
    status = response.status_code
    _require(status == 200, f"{url} answered {status}: {response.text}")
    body: Any = response.json()
    links = {str(name): link["url"] for name, link in response.links.items()}
    if "items" not in body:
        return _Page(response.url, body, None, links)
    # A page whose links are too long for a header still has its cursors in the body.
    for member, relation in (("next", "next"), ("previous", "prev")):
        if body.get(member) is not None:
            query = response.url.copy_set_param("cursor", body[member]).query.decode()
            links.setdefault(relation, f"?{query}")
    return _Page(response.url, body["items"], _total(body.get("total")), links)


def _total(total: Any) -> Any:
    if total is None or isinstance(total, int):
        return total
    return total["value"] if total["relation"] == "eq" else None


def _check_items(pages: list[_Page]) -> None:
    seen: set[str] = set()
    for page in pages:
        for item in page.items:
            told = json.dumps(item, sort_keys=True)
            _require(told not in seen, f"{page.url} has {told} once more: a duplicate")
            seen.add(told)
    for page in pages:
        known = page.total is None or page.total == len(seen)
        _require(known, f"{len(seen)} items, not {page.total}: a gap")


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001
    if not holds:
        raise AssertionError(otherwise)
