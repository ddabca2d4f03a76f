"""A table with a column of every kind that rows can be sorted by, NULL and not, tied and not."""

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any

from sqlalchemy import (
    CHAR,
    REAL,
    BigInteger,
    DateTime,
    Dialect,
    Double,
    Float,
    Interval,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Time,
    Uuid,
    func,
)
from sqlalchemy import Enum as EnumColumn
from sqlalchemy.dialects.postgresql import UUID as NativeUuid  # noqa: N811
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from examples.shop.columns import Money


class Colour(Enum):
    RED = 3
    GREEN = 1
    BLUE = 2


class Level(StrEnum):
    HIGH = "h"
    LOW = "l"


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, wherever it is stored."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return value if value is None else value.replace(tzinfo=UTC)


class Version(TypeDecorator[tuple[int, int]]):
    """A value of Python's own kind that JSON knows nothing of."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: tuple[int, int] | None, _dialect: Dialect) -> str | None:
        return None if value is None else "{:03}.{:03}".format(*value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> tuple[int, int] | None:
        if value is None:
            return None
        major, minor = value.split(".")
        return int(major), int(minor)


class Guid(TypeDecorator[uuid.UUID]):
    """Another type in each database."""

    impl = CHAR
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        native = dialect.name == "postgresql"
        kind: TypeEngine[Any] = NativeUuid() if native else CHAR(32)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: uuid.UUID | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else value.hex

    def process_result_value(self, value: Any, _dialect: Dialect) -> uuid.UUID | None:
        return value if value is None or isinstance(value, uuid.UUID) else uuid.UUID(value)


class Rounded(TypeDecorator[Decimal]):
    """An amount as the database counts it."""

    impl = Numeric(6, 2)
    cache_ok = True


class Ratio(TypeDecorator[Decimal]):
    """A decimal that is stored as a float."""

    impl = Double(asdecimal=True)
    cache_ok = True


class Base(DeclarativeBase):
    pass


class Kind(Base):
    __tablename__ = "kind"

    id: Mapped[int] = mapped_column("number", primary_key=True)
    whole: Mapped[int | None]
    small: Mapped[int | None] = mapped_column(SmallInteger)
    big: Mapped[int | None] = mapped_column(BigInteger)
    double: Mapped[float | None] = mapped_column(Double)
    single: Mapped[float | None] = mapped_column(REAL)
    short: Mapped[float | None] = mapped_column(Float(24))
    exact: Mapped[Decimal | None] = mapped_column(Numeric(30, 14))
    flag: Mapped[bool | None]
    text: Mapped[str | None]
    letters: Mapped[str | None] = mapped_column(String(50))
    octets: Mapped[bytes | None] = mapped_column(LargeBinary)
    key: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    local: Mapped[datetime | None] = mapped_column(DateTime)
    moment: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    day: Mapped[date | None]
    clock: Mapped[time | None]
    zoned: Mapped[time | None] = mapped_column(Time(timezone=True))
    span: Mapped[timedelta | None] = mapped_column(Interval)
    emulated: Mapped[timedelta | None] = mapped_column(Interval(native=False))
    colour: Mapped[Colour | None]
    level: Mapped[Level | None] = mapped_column(
        EnumColumn(Level, native_enum=False, values_callable=lambda kind: [k.value for k in kind])
    )
    word: Mapped[str | None] = mapped_column(EnumColumn("zero", "one", "two", name="word"))
    money: Mapped[Decimal | None] = mapped_column(Money)
    shown: Mapped[datetime | None] = mapped_column(Moment)
    version: Mapped[tuple[int, int] | None] = mapped_column(Version)
    guid: Mapped[uuid.UUID | None] = mapped_column(Guid)
    rounded: Mapped[Decimal | None] = mapped_column(Rounded)
    ratio: Mapped[Decimal | None] = mapped_column(Ratio)
    stamped: Mapped[datetime] = mapped_column(server_default=func.now())


_SOUTH = timezone(timedelta(hours=-3, minutes=-30))
_START = datetime(2026, 1, 1, 12, 0, 0, 1)  # noqa: DTZ001

VALUES: dict[str, list[Any]] = {
    "whole": [0, -1, 2**31 - 1],
    "small": [0, -(2**15), 7],
    "big": [2**63 - 1, -(2**63), 2**53 + 1],
    "double": [float("inf"), float("-inf"), 0.1, 1e-300],
    "single": [0.1, 1 / 3, 16777217.0],
    "short": [0.1, 1 / 3, 16777217.0],
    "exact": [Decimal("0.12345678901234"), Decimal("-1.5"), Decimal("123456789012.00000000000001")],
    "flag": [True, False],
    "text": [
        "",
        "a",
        "A",
        "ä",
        "Z",
        " a",
        "a_b",
        "a%",
        "日本",
        "\U0001f600",
        '"\\\n',
        "é",
        "e\u0301",
    ],
    "letters": ["co-op", "coop", "CO OP", "résumé", "resume", "ß", "ss"],
    "octets": [b"", b"\x00", b"\xff\x00", b"abc"],
    "key": [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.UUID(int=2**64)],
    "local": [_START, _START.replace(microsecond=0), datetime.min, datetime.max],  # noqa: DTZ901
    "moment": [_START.replace(tzinfo=UTC), _START.replace(tzinfo=_SOUTH, microsecond=999999)],
    "day": [date(2026, 1, 1), date.min, date.max],
    "clock": [time(0), time(23, 59, 59, 999999), time(12)],
    "zoned": [time(12, tzinfo=UTC), time(12, 30, tzinfo=_SOUTH)],
    "span": [timedelta(0), timedelta(days=-1, microseconds=1), timedelta(days=4000)],
    "emulated": [timedelta(0), timedelta(days=-1, microseconds=1), timedelta(days=4000)],
    "colour": [*Colour],
    "level": [*Level],
    "word": ["two", "zero", "one"],
    "money": [Decimal("9.99"), Decimal("0.10"), Decimal("10.00")],
    "shown": [_START.replace(tzinfo=UTC), _START.replace(tzinfo=UTC, microsecond=0)],
    "version": [(1, 10), (1, 9), (2, 0)],
    "rounded": [Decimal("1.25"), Decimal("-9999.99"), Decimal("9999.99")],
    "ratio": [Decimal("0.1"), Decimal("1e300"), Decimal("-2.5")],
    "guid": [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.UUID(int=2**64)],
}


def kinds() -> list[Kind]:
    """Rows in which each value comes about as often, in no order, and so does NULL."""
    return [
        Kind(
            **{
                name: [*values, None][(number * 7) % (len(values) + 1)]
                for name, values in VALUES.items()
            }
        )
        for number in range(1, 31)
    ]
