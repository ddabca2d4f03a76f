"""Walks over listings, each position through a cursor's payload as between two requests."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from fastapi_kit.pagination import Sorting
from fastapi_kit.pagination.cursor import pack, unpack
from fastapi_kit.pagination.position import Position
from fastapi_kit.pagination.seek import Part, examine_sorted, seek


def page_at(
    session: Session,
    stmt: Any,
    sorting: Sorting,
    terms: tuple[str, ...],
    position: Position | None,
    size: int,
) -> Part:
    sent = None if position is None else unpack(pack(position))
    keyset = sorting.keyset(terms, session)
    return seek(session, examine_sorted(stmt, sorting), keyset, sent, size)


def pages_of(
    session: Session, stmt: Any, sorting: Sorting, terms: tuple[str, ...], *, size: int
) -> list[Part]:
    pages = [page_at(session, stmt, sorting, terms, None, size)]
    while pages[-1].after is not None:
        assert pages[-1].after not in [page.after for page in pages[:-1]], (
            "the walk goes in circles"
        )
        pages.append(page_at(session, stmt, sorting, terms, pages[-1].after, size))
    return pages


def pages_back(
    session: Session, stmt: Any, sorting: Sorting, terms: tuple[str, ...], page: Part, *, size: int
) -> list[Part]:
    """The pages before a page, the first one first."""
    pages = [page]
    while pages[0].before is not None:
        assert pages[0].before not in [one.before for one in pages[1:]], "the walk goes in circles"
        pages.insert(0, page_at(session, stmt, sorting, terms, pages[0].before, size))
    return pages[:-1]


def rows_of(pages: Sequence[Part]) -> list[Any]:
    return [row for page in pages for row in page.rows]
