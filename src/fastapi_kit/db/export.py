"""Whole tables as a response, in constant memory: JSON lines and CSV."""

import csv
import io
import json
import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy import Select
from starlette.types import Send

from fastapi_kit.db.database import Database
from fastapi_kit.errors import ConfigurationError

# What a spreadsheet takes for a formula (OWASP, "CSV Injection"); a plain number is none.
_FORMULA = re.compile(r"(?![-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?\Z)[=+\-@\t\r]")


class _Export(StreamingResponse):
    """Streams what a statement selects, from a session of its own.

    The session reads only, and is closed with the response, however that ends: the client went
    away, a row failed, the server stops.
    What fails before the first rows are there is answered as usual, by 503 for example. What fails
    later breaks the transfer off, so that the client sees an error and no shorter file.
    """

    def __init__(
        self,
        database: Database,
        stmt: Select[*tuple[Any, ...]],
        *,
        into: type[BaseModel],
        filename: str | None = None,
        batch_size: int = 1000,
        status_code: int = 200,  # FastAPI documents response classes by this default
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ConfigurationError(f"batch_size={batch_size} is no batch; use at least 1")
        self.into = into
        self._chunks = self._read(database, stmt, batch_size)
        super().__init__(self._chunks, status_code, headers)
        if filename is not None:
            self.headers["Content-Disposition"] = _attachment(filename)

    @abstractmethod
    def encode(self, items: Sequence[BaseModel]) -> bytes:
        """Give the bytes of some rows."""

    def start(self) -> bytes:
        """Give what comes before the rows."""
        return b""

    async def stream_response(self, send: Send) -> None:
        """Send the head once the first rows are there, then the rows."""
        # Starlette leaves the generator to the garbage collector, and the session with it.
        async with aclosing(self._chunks) as chunks:
            first = await anext(chunks, b"")
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await _send_body(send, self.start() + first)
            while (chunk := await _uninterrupted(chunks)) is not None:
                await _send_body(send, chunk)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _read(
        self, database: Database, stmt: Select[*tuple[Any, ...]], batch_size: int
    ) -> AsyncGenerator[bytes]:
        as_entities = _selects_one_entity(stmt)
        async with database.read_session() as session:
            result = await session.stream(stmt.execution_options(yield_per=batch_size))
            try:
                if as_entities:
                    async for entities in result.scalars().partitions():
                        yield self.encode([self._item(entity) for entity in entities])
                else:
                    async for rows in result.mappings().partitions():
                        yield self.encode([self._item(dict(row)) for row in rows])
            finally:
                with CancelScope(shield=True):
                    await result.close()

    def _item(self, source: object) -> BaseModel:
        return self.into.model_validate(source, from_attributes=True)


class JSONLinesExport(_Export):
    """A response of one JSON object per line, in constant memory.

    ```python
    @app.get("/items.jsonl", response_class=JSONLinesExport)
    async def export(db: DatabaseDep) -> JSONLinesExport:
        return JSONLinesExport(db, select(Item).order_by(Item.id), into=ItemOut)
    ```

    It reads in a session of its own, which is closed with the response however that ends. While the
    client reads, it holds a connection, and on PostgreSQL a transaction that keeps old rows.
    What fails before the first rows is answered as usual, by 503 for example. What fails later
    breaks the transfer off, so that the client sees an error and no shorter file.

    Args:
        database: `DatabaseDep`.
        stmt: A select of one entity, or of columns.
        into: The model of a line, read by attribute or column name.
        filename: What a browser saves it as; `None`: it shows it.
        batch_size: Rows that are fetched and sent at a time.
        status_code: Of the response.
        headers: Sent along.

    Raises:
        ConfigurationError: ``batch_size`` is below 1.
    """

    media_type = "application/jsonl"

    def encode(self, items: Sequence[BaseModel]) -> bytes:
        """Give the lines of some rows."""
        return "".join(f"{item.model_dump_json(by_alias=True)}\n" for item in items).encode()


class CSVExport(_Export):
    r"""A response of comma-separated values with a header line (RFC 4180), in constant memory.

    As `JSONLinesExport`; the fields of ``into`` are the columns. Null is an empty cell, a nested
    value JSON. Text that a spreadsheet would run as a formula (``=``, ``+``, ``-``, ``@``, tab or
    CR at its start) gets a ``'`` in front, as OWASP advises; numbers stay as they are.

    Args:
        database: `DatabaseDep`.
        stmt: A select of one entity, or of columns.
        into: The model of a line, read by attribute or column name.
        filename: What a browser saves it as; `None`: it shows it.
        batch_size: Rows that are fetched and sent at a time.
        status_code: Of the response.
        headers: Sent along.

    Raises:
        ConfigurationError: ``batch_size`` is below 1.
    """

    media_type = "text/csv"

    def start(self) -> bytes:
        """Give the header line."""
        return _csv([_names(self.into)])

    def encode(self, items: Sequence[BaseModel]) -> bytes:
        """Give the lines of some rows."""
        names = _names(self.into)
        dumped = (item.model_dump(mode="json", by_alias=True) for item in items)
        return _csv([[_cell(row.get(name)) for name in names] for row in dumped])


async def _uninterrupted(chunks: AsyncGenerator[bytes]) -> bytes | None:
    # A client that goes away cancels us, and a driver that is cancelled within a statement gives up
    # its connection. So that is noticed between two batches only.
    chunk: bytes | None = None
    with CancelScope(shield=True):
        chunk = await anext(chunks, None)
    await checkpoint_if_cancelled()
    return chunk


async def _send_body(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _selects_one_entity(stmt: Select[*tuple[Any, ...]]) -> bool:
    described = stmt.column_descriptions
    # A column of a plain table has no entity.
    return len(described) == 1 and described[0]["expr"] is described[0].get("entity")


def _attachment(filename: str) -> str:
    """RFC 6266, with the name as RFC 8187 encodes it where it has to be."""
    encoded = quote(filename, safe="")
    name = f'filename="{filename}"' if encoded == filename else f"filename*=UTF-8''{encoded}"
    return f"attachment; {name}"


def _names(model: type[BaseModel]) -> list[str]:
    fields = {n: f.serialization_alias for n, f in model.model_fields.items() if not f.exclude}
    computed = {name: field.alias for name, field in model.model_computed_fields.items()}
    return [alias or name for name, alias in (fields | computed).items()]


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    if isinstance(value, bool | dict | list):
        return json.dumps(value, ensure_ascii=False)
    return value
