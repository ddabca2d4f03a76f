"""Moments in, moments out."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.exc import DataError

from fastapi_kit.db import Database, SessionDep

from .library import Book, Books, Card, Cards
from .shop import build_app, running

KOLKATA = timezone(timedelta(hours=5, minutes=30))
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
YEARS = (datetime(2, 1, 1), datetime(9998, 1, 1))  # noqa: DTZ001  # as hypothesis wants them
OFFSETS = st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))


async def stored(db: Database, moment: datetime | None) -> datetime | None:
    async with db.session() as session:
        book = await Books(session).create(title="Emma", lent_at=moment)
    async with db.read_session() as session:
        return (await session.get_one(Book, book.id)).lent_at


@pytest.mark.parametrize("zone", [UTC, KOLKATA, timezone(timedelta(hours=-11))])
async def test_a_moment_comes_back_in_utc(any_db: Database, zone: timezone) -> None:
    moment = await stored(any_db, NOON.astimezone(zone))

    assert moment == NOON
    assert moment.tzinfo is UTC


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(moment=st.datetimes(*YEARS, timezones=OFFSETS))
async def test_any_moment_comes_back(db: Database, moment: datetime) -> None:
    assert await stored(db, moment) == moment


async def test_no_moment_stays_none(db: Database) -> None:
    assert await stored(db, None) is None


async def test_an_earlier_moment_sorts_and_compares_as_earlier_in_any_zone(db: Database) -> None:
    early, late = NOON.astimezone(KOLKATA), NOON + timedelta(seconds=1)
    await stored(db, late)
    await stored(db, early)

    async with db.read_session() as session:
        ordered = await session.scalars(select(Book.lent_at).order_by(Book.lent_at))
        assert ordered.all() == [early, late]
        before = select(func.count()).where(Book.lent_at < late.astimezone(KOLKATA))
        assert await session.scalar(before) == 1


async def test_it_takes_intervals_on_postgresql(postgres_db: Database) -> None:
    await stored(postgres_db, NOON)

    async with postgres_db.read_session() as session:
        hour = timedelta(hours=1)
        due = await session.scalars(select(Book.id).where(Book.lent_at + hour > NOON))
        assert len(due.all()) == 1


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 21, 12),  # noqa: DTZ001
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
        datetime.min.replace(tzinfo=KOLKATA),
    ],
)
async def test_what_is_no_moment_is_refused(any_db: Database, moment: datetime) -> None:
    with pytest.raises(DataError, match="moment"):
        await stored(any_db, moment)


async def test_what_is_no_moment_is_a_422(any_db: Database) -> None:
    app = build_app(any_db)

    @app.post("/")
    async def lend(moment: datetime, session: SessionDep) -> None:
        await Books(session).create(title="Emma", lent_at=moment)

    async with running(app) as client:
        naive = await client.post("/", params={"moment": "2026-11-21T12:00:00"})
        aware = await client.post("/", params={"moment": "2026-11-21T12:00:00Z"})

    assert (naive.status_code, aware.status_code) == (422, 200)


async def test_sqlmodel_has_moments_too(any_db: Database) -> None:
    async with any_db.session() as session:
        card = await Cards(session).create(holder="Ann", expires_at=NOON.astimezone(KOLKATA))
    async with any_db.read_session() as session:
        expires_at = (await session.get_one(Card, card.id)).expires_at

    assert expires_at == NOON
    assert expires_at.tzinfo is UTC
