"""`Link` headers (RFC 8288): where the other pages of a listing are.

Targets are relative references that consist of a query alone, such as ``<?page=3&size=10>``.
RFC 3986 section 5.2.2 resolves them against the URL that the client asked for, so they are right
behind every proxy, prefix, mount and host name, and no header of the request has to be believed.
Do not "complete" them to a path or a URL: a proxy that strips a prefix makes those wrong.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote_plus

from starlette.datastructures import MutableHeaders

# What RFC 3986 section 3.4 allows in a query, without "," and ";", at which simple parsers of
# Link headers split.
_QUERY_CHARACTERS: Final = "%&=+!$'()*:@/?-._~"
_STRAY_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")
# Proxies refuse answers whose headers exceed some 4 KiB; four links of this length fill that.
_LONG_QUERY: Final = 1024  # characters


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """The request whose query the links repeat, and the response that carries them.

    Args:
        query: The request's query as it came.
        headers: The response's headers.
        max_offset: The largest offset that the route accepts; no ``last`` link goes past it.
    """

    query: bytes
    headers: MutableHeaders
    max_offset: int

    def add_links(
        self, parameter: str, *, offset: int, limit: int, total: int | None, more: bool = False
    ) -> None:
        """Add the ``Link`` header of the page at ``offset``.

        Args:
            parameter: ``page``, or the name of a parameter that is an offset.
            offset: Rows before this page.
            limit: Rows on a page.
            total: Rows in the whole listing; `None` where that is not known.
            more: Whether rows follow; read only where the total is not known.
        """
        kept = _kept_query(self.query, parameter)
        if total is None:
            relations = _near(offset, limit, more=more)
        else:
            relations = _relations(offset, limit, total)
        links: list[str] = []
        for relation, start in relations:
            edge = relation in ("first", "last")
            if edge and (len(kept) > _LONG_QUERY or start > self.max_offset):
                continue
            value = start // limit + 1 if parameter == "page" else start
            links.append(f'<?{kept}{parameter}={value}>; rel="{relation}"')
        if links:
            self.headers.append("Link", ", ".join(links))

    def add_cursor_links(self, *, following: str | None, preceding: str | None) -> None:
        """Add the ``Link`` header of a page that has cursors.

        Args:
            following: The cursor of the next page; `None` if there is none.
            preceding: The cursor of the previous page; `None` if there is none.
        """
        kept = _kept_query(self.query, "cursor")
        links = [
            f'<?{kept}cursor={cursor}>; rel="{relation}"'
            for relation, cursor in (("prev", preceding), ("next", following))
            if cursor is not None and len(cursor) <= _LONG_QUERY
        ]
        if len(kept) <= _LONG_QUERY:
            links.insert(0, f'<?{kept.removesuffix("&")}>; rel="first"')
        if links:
            self.headers.append("Link", ", ".join(links))


def _relations(offset: int, limit: int, total: int) -> Iterator[tuple[str, int]]:
    last = max(0, total - 1 - (total - 1 - offset) % limit)
    yield "first", 0
    if offset > 0:
        yield "prev", max(0, min(offset - limit, last))
    if offset + limit < total:
        # Given even where it is past the largest offset: a clear 422 then stops whoever walks the
        # listing; without the link the listing would seem to end.
        yield "next", offset + limit
    yield "last", last


def _near(offset: int, limit: int, *, more: bool) -> Iterator[tuple[str, int]]:
    yield "first", 0
    if offset > 0:
        yield "prev", max(0, offset - limit)
    if more:
        yield "next", offset + limit


def _kept_query(query: bytes, parameter: str) -> str:
    """Give the query without ``parameter``, each other one as it came, ready to be added to."""
    if not query:
        return ""
    # Latin-1 as Starlette reads it, so that the next request means the same by it.
    text = _STRAY_PERCENT.sub("%25", quote(query.decode("latin-1"), safe=_QUERY_CHARACTERS))
    kept = [
        part for part in text.split("&") if part and unquote_plus(part.split("=")[0]) != parameter
    ]
    return "&".join([*kept, ""])


def link_header_responses(status_code: int = 200) -> dict[int | str, dict[str, Any]]:
    """Give what documents the ``Link`` header, for a route's ``responses=``.

    Args:
        status_code: The status whose answer carries the header.
    """
    example = '<?size=10&page=1>; rel="first", <?size=10&page=2>; rel="next"'
    return _document(status_code, "first, prev, next and last", example)


def cursor_link_responses() -> dict[int | str, dict[str, Any]]:
    """Give what documents the ``Link`` header of pages by cursor."""
    example = '<?size=10>; rel="first", <?size=10&cursor=Zm9v>; rel="next"'
    return _document(200, "first, prev and next", example)


def _document(status_code: int, relations: str, example: str) -> dict[int | str, dict[str, Any]]:
    header = {
        "description": (
            f"The {relations} page (RFC 8288), as references relative to this request's URL."
        ),
        "schema": {"type": "string"},
        "example": example,
    }
    return {status_code: {"headers": {"Link": header}}}
