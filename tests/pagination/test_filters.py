"""Filters: what they keep, refuse and document, and when they are misconfigured."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from fastapi import FastAPI, Query
from httpx import AsyncClient
from pydantic import AwareDatetime, ConfigDict
from sqlalchemy import ColumnElement, Numeric, TypeDecorator, column, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination import Filters, contains, equals, ge, le, one_of

from .kinds import Base, Colour, Kind, Level, kinds
from .listings import client_of


class KindFilters(Filters):
    letters: Annotated[str | None, equals(Kind.letters)] = None
    either: Annotated[set[str] | None, one_of(Kind.letters, max_values=3)] = None
    has: Annotated[str | None, contains(Kind.text, max_length=5)] = None
    whole: Annotated[int | None, equals(Kind.whole)] = None
    at_least: Annotated[int | None, ge(Kind.small)] = None
    wholes: Annotated[list[int] | None, one_of(Kind.whole)] = None
    double: Annotated[float | None, le(Kind.double)] = None
    near: Annotated[Decimal | None, ge(Kind.double)] = None
    ratio: Annotated[Decimal | None, ge(Kind.ratio)] = None
    exact: Annotated[Decimal | None, ge(Kind.exact)] = None
    flag: Annotated[bool | None, equals(Kind.flag)] = None
    colour: Annotated[Colour | None, equals(Kind.colour)] = None
    level: Annotated[Level | None, equals(Kind.level)] = None
    word: Annotated[str | None, equals(Kind.word)] = None
    local: Annotated[datetime | None, le(Kind.local)] = None
    moment: Annotated[datetime | None, le(Kind.moment)] = None
    aware: Annotated[AwareDatetime | None, ge(Kind.shown)] = None
    clock: Annotated[time | None, ge(Kind.clock)] = None
    zoned: Annotated[time | None, ge(Kind.zoned)] = None
    day: Annotated[date | None, ge(Kind.day)] = None
    span: Annotated[timedelta | None, le(Kind.span)] = None
    emulated: Annotated[timedelta | None, le(Kind.emulated)] = None
    key: Annotated[UUID | None, equals(Kind.key)] = None
    guid: Annotated[UUID | None, equals(Kind.guid)] = None
    rounded: Annotated[Decimal | None, ge(Kind.rounded)] = None
    money: Annotated[Decimal | None, ge(Kind.money)] = None
    version: Annotated[tuple[int, int] | None, ge(Kind.version)] = None


@pytest.fixture(scope="module", params=["sqlite", "psycopg", "asyncpg"])
async def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AsyncClient]:
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('filters')}/test.db"
    else:
        url = request.getfixturevalue("postgres_server").replace("psycopg", request.param)
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        session.add_all(kinds())
        await session.commit()

    app = FastAPI()

    @app.get("/")
    async def ids(filters: Annotated[KindFilters, Query()]) -> list[int]:
        async with AsyncSession(engine) as session:
            return [*await session.scalars(select(Kind.id).where(*filters.where()))]

    async with client_of(app) as client:
        yield client
    await engine.dispose()


def those(keep: Any) -> list[int]:
    return [kind_id for kind_id, kind in enumerate(kinds(), 1) if keep(kind)]


@pytest.mark.parametrize(
    ("params", "keep"),
    [
        ({}, lambda kind: True),
        ({"letters": "coop"}, lambda kind: kind.letters == "coop"),
        ({"either": ["coop", "ß"]}, lambda kind: kind.letters in {"coop", "ß"}),
        ({"has": "a"}, lambda kind: "a" in (kind.text or "").lower()),
        ({"has": "%"}, lambda kind: "%" in (kind.text or "")),
        ({"has": "_"}, lambda kind: "_" in (kind.text or "")),
        ({"has": "\\"}, lambda kind: "\\" in (kind.text or "")),
        ({"whole": 2**31 - 1}, lambda kind: kind.whole == 2**31 - 1),
        ({"whole": 2**63 - 1}, lambda kind: False),
        ({"at_least": -(2**63)}, lambda kind: kind.small is not None),
        ({"wholes": [0, -1]}, lambda kind: kind.whole in {0, -1}),
        ({"double": "inf"}, lambda kind: kind.double is not None),
        ({"double": "0.1"}, lambda kind: kind.double is not None and kind.double <= 0.1),
        ({"near": "1e400"}, lambda kind: kind.double == float("inf")),
        ({"near": "1e-400"}, lambda kind: kind.double is not None and kind.double > 0),
        ({"ratio": "0.1"}, lambda kind: kind.ratio is not None and kind.ratio > 0),
        ({"exact": "0.1"}, lambda kind: kind.exact is not None and kind.exact >= Decimal("0.1")),
        ({"exact": "1e400"}, lambda kind: False),
        ({"flag": "true"}, lambda kind: kind.flag is True),
        ({"level": "h"}, lambda kind: kind.level is Level.HIGH),
        ({"word": "two"}, lambda kind: kind.word == "two"),
        ({"local": "2026-01-01T12:00"}, lambda kind: kind.local and kind.local.year < 2027 and not kind.local.microsecond),
        ({"moment": "2026-01-02T00:00Z"}, lambda kind: kind.moment is not None),
        ({"aware": "2026-01-01T12:00Z"}, lambda kind: kind.shown is not None),
        ({"clock": "12:00"}, lambda kind: kind.clock is not None and kind.clock.hour >= 12),
        ({"zoned": "12:00Z"}, lambda kind: kind.zoned is not None),
        ({"day": "2026-01-01"}, lambda kind: kind.day and kind.day.year >= 2026),
        ({"span": "P1D"}, lambda kind: kind.span is not None and kind.span.days < 1),
        ({"emulated": "P1D"}, lambda kind: kind.emulated is not None and kind.emulated.days < 1),
        ({"key": UUID(int=0).hex}, lambda kind: kind.key == UUID(int=0)),
        ({"guid": UUID(int=0).hex}, lambda kind: kind.guid == UUID(int=0)),
        ({"rounded": "1.25"}, lambda kind: kind.rounded and kind.rounded > 0),
        ({"money": "9.99"}, lambda kind: kind.money and kind.money >= Decimal("9.99")),
        ({"money": "9.99", "flag": 0}, lambda kind: kind.flag is False and kind.money and kind.money >= Decimal("9.99")),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Dialect sqlite")
async def test_rows_that_match_are_kept(
    client: AsyncClient, params: dict[str, Any], keep: Any
) -> None:
    response = await client.get("/", params=params)

    assert sorted(response.json()) == those(keep)


@pytest.mark.parametrize(
    "query",
    [
        "letters=a%00",
        "either=%00",
        "either=a&either=b&either=c&either=d",
        "has=%00",
        "has=abcdef",
        f"whole={2**63}",
        f"at_least={-(2**63) - 1}",
        f"wholes=1&wholes={2**64}",
        "double=nan",
        "exact=1e1001",
        "exact=1e-1001",
        f"exact=0.{'1' * 1001}",
        "exact=nan",
        "exact=Infinity",
        "colour=7",
        "word=three",
        "local=2026-01-01T12:00Z",
        "moment=2026-01-01T12:00",
        "moment=0001-01-01T00:00%2B05:00",
        "aware=2026-01-01T12:00",
        "clock=12:00Z",
        "zoned=12:00",
        "zoned=12:00%2B16:00",
        "span=P999999999D",
        "emulated=P999999999D",
        "money=1e9",
        "money=1e500",
        "rounded=1.254",
        "rounded=10000",
        "ratio=1e400",
        "ratio=1e-400",
        "key=1",
        f"whole={'9' * 5000}",
    ],
)
async def test_a_value_that_a_database_cannot_take_is_a_422_that_names_it(
    client: AsyncClient, query: str
) -> None:
    response = await client.get(f"/?{query}")

    assert response.status_code == 422
    assert {error["loc"][1] for error in response.json()["detail"]} == {query.partition("=")[0]}


async def test_limits_are_documented(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    schemas = {one["name"]: one["schema"] for one in document["paths"]["/"]["get"]["parameters"]}
    assert schemas["has"]["maxLength"] == 5
    assert schemas["either"]["maxItems"] == 3
    assert schemas["wholes"]["maxItems"] == 100


def test_halves_of_surrogate_pairs_are_no_text() -> None:
    with pytest.raises(ValueError, match="Input should be text"):
        KindFilters(letters="\ud800")


def test_what_an_own_type_cannot_store_is_refused() -> None:
    class Loose(Filters):
        version: Annotated[str | None, ge(Kind.version)] = None

    with pytest.raises(ValueError, match="not a value of this column"):
        Loose(version="a")
    assert KindFilters(version=(1, 9)).where()


def test_an_own_type_without_a_precision_takes_any_decimal() -> None:
    class Exact(TypeDecorator[Decimal]):
        impl = Numeric
        cache_ok = True

    class Precise(Filters):
        least: Annotated[Decimal | None, ge(column("exact", Exact()))] = None

    assert len(Precise(least=Decimal("1234567.89012345")).where()) == 1


def test_fields_may_have_defaults_that_filter() -> None:
    class Flagged(Filters):
        flag: Annotated[bool, equals(Kind.flag)] = True

    assert len(Flagged().where()) == 1
    assert str(Flagged(flag=False).where()[0]).startswith("kind.flag = ")


def test_where_may_be_made_by_hand() -> None:
    class Mine(Filters):
        young: bool = False
        q: Annotated[str | None, contains(Kind.text)] = None

        def where(self) -> list[ColumnElement[bool]]:
            return [*super().where(), *([Kind.whole < 5] if self.young else [])]

    assert len(Mine(young=True, q="x").where()) == 2


def test_literals_and_enums_fit_text() -> None:
    class Fitting(Filters):
        word: Annotated[Literal["one", "two"] | None, equals(Kind.word)] = None
        number: Annotated[float | None, ge(Kind.whole)] = None
        blob: Annotated[Any, equals(Kind.octets)] = None

    assert len(Fitting(word="one", number=1.5, blob=None).where()) == 2


def test_a_column_without_a_python_type_takes_anything() -> None:
    class Untyped(Filters):
        text: Annotated[str | None, equals(literal_column("kind.text"))] = None

    assert len(Untyped(text="a").where()) == 1


class Shade(Enum):
    DARK = 1


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (int | None, "filters nothing; annotate it with equals"),
        (Annotated[str | None, equals(Kind.whole)], "is of str, and its column holds int"),
        (Annotated[Decimal | None, ge(Kind.text)], "is of Decimal, and its column holds str"),
        (Annotated[set[int], one_of(Kind.text)], "is of int, and its column holds str"),
        (Annotated[date | None, ge(Kind.local)], "is of date, and its column holds datetime"),
        (Annotated[datetime | None, ge(Kind.day)], "is of datetime, and its column holds date"),
        (Annotated[int | None, equals(Kind.flag)], "is of int, and its column holds bool"),
        (Annotated[str | None, equals(Kind.key)], "is of str, and its column holds UUID"),
        (Annotated[Literal[1] | None, equals(Kind.text)], "is of int, and its column holds str"),
        (Annotated[Shade | None, equals(Kind.colour)], "is of Shade, and its column holds Colour"),
        (Annotated[set[int] | None, ge(Kind.whole)], r"allows several values; use one_of\(\)"),
        (Annotated[set[str] | None, contains(Kind.text)], "allows several values"),
        (Annotated[str | None, one_of(Kind.text)], "allows one value.* annotate it with a set"),
        (Annotated[int | None, contains(Kind.whole)], r"looks for text in Integer\(\); cast\(\)"),
        (Annotated[str | None, contains(Kind.word)], "looks for text in Enum"),
        (Annotated[str | None, contains(Kind.money)], "looks for text in Money"),
    ],
)
def test_a_field_that_cannot_filter_is_refused_when_it_is_made(
    annotation: Any, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        type("Wrong", (Filters,), {"__annotations__": {"field": annotation}, "field": None})


@pytest.mark.parametrize("extra", ["forbid", "allow"])
def test_a_model_that_takes_the_paginators_parameters_is_refused(extra: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"has extra='{extra}'"):

        class Greedy(Filters):  # pyright: ignore[reportUnusedClass]
            model_config = ConfigDict(extra=extra)


def test_offsets_do_not_matter() -> None:
    south = timezone(timedelta(hours=-3))
    filters = KindFilters(moment=datetime(2026, 1, 1, 9, tzinfo=south))

    (condition,) = filters.where()

    assert list(condition.compile().params.values()) == [datetime(2026, 1, 1, 12, tzinfo=UTC)]
