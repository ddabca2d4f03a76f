"""Column types that give the same values on SQLite and on PostgreSQL."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from sqlalchemy import Dialect, Integer, func
from sqlalchemy.orm import mapped_column
from sqlalchemy.types import TypeDecorator

from fastapi_kit.db import UTCDateTime


class Money(TypeDecorator[Decimal]):
    """An amount with two decimals, kept in cents: SQLite has no exact decimals."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, _dialect: Dialect) -> int | None:
        return None if value is None else int(value * 100)

    def process_result_value(self, value: int | None, _dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-2)


CreatedAt = Annotated[datetime, mapped_column(UTCDateTime, server_default=func.now())]
