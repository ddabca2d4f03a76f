"""Tokens that were revoked: one by one, or every one of a subject."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, func, select
from sqlalchemy.dialects import mysql

from fastapi_kit.auth import (
    Auth,
    DenyList,
    InvalidTokenError,
    MemoryDenyList,
)
from fastapi_kit.auth.denylist_sql import SQLAlchemyDenyList, deny_list_table
from fastapi_kit.db import Database
from fastapi_kit.errors import ConfigurationError, ServiceUnavailableError, TooManyRequestsError
from tests.auth.accounts import NOW, Accounts, Clock, User, bearer, get, make_app, make_auth
from tests.auth.test_callers import PROTECTED

ADMIN = User(1, "ann", role="admin")
SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> AsyncIterator[DenyList]:
    if request.param == "memory":
        yield MemoryDenyList(clock=clock)
        return
    url = (
        f"sqlite:///{tmp_path / 'auth.db'}"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    async with Database(url) as db:
        found = SQLAlchemyDenyList(db, clock=clock)
        async with db.engine.begin() as connection:
            await connection.run_sync(found.table.metadata.create_all)
        yield found


async def is_denied(
    store: DenyList, jti: str = "a", *, subject: str = "1", issued_at: datetime = NOW
) -> bool:
    return await store.is_denied(jti, subject=subject, issued_at=issued_at)


# --- every store


async def test_nothing_is_denied_at_first(store: DenyList) -> None:
    assert await is_denied(store) is False


async def test_a_token_is_denied_by_its_identifier_alone(store: DenyList) -> None:
    assert await store.deny("a", until=NOW + SECOND) is True

    assert await is_denied(store, "a", subject="7") is True
    assert await is_denied(store, "b", subject="a") is False


async def test_to_deny_again_is_told_and_shortens_nothing(store: DenyList, clock: Clock) -> None:
    await store.deny("a", until=NOW + timedelta(hours=2))

    assert await store.deny("a", until=NOW + timedelta(hours=1)) is False
    clock.advance(hours=1, minutes=30)
    await purge(store)

    assert await is_denied(store) is True


async def test_to_deny_again_for_longer_lasts_longer(store: DenyList, clock: Clock) -> None:
    await store.deny("a", until=NOW + timedelta(hours=1))

    assert await store.deny("a", until=NOW + timedelta(hours=3)) is False
    clock.advance(hours=2)
    await purge(store)

    assert await is_denied(store) is True


async def test_of_many_who_deny_at_once_one_is_first(store: DenyList) -> None:
    answers = await asyncio.gather(*(store.deny("a", until=NOW + SECOND) for _ in range(8)))

    assert sorted(answers) == [False] * 7 + [True]


@pytest.mark.parametrize(
    ("issued_at", "denied"),
    [
        (NOW - SECOND, True),
        (NOW - timedelta(microseconds=1), True),
        (NOW, False),
        (NOW + timedelta(microseconds=1), False),
    ],
)
async def test_sessions_end_for_what_was_issued_before(
    store: DenyList, issued_at: datetime, denied: bool
) -> None:
    await store.end_sessions("1", at=NOW)

    assert await is_denied(store, issued_at=issued_at) is denied
    assert await is_denied(store, subject="2", issued_at=issued_at) is False


async def test_an_earlier_end_does_not_replace_a_later_one(store: DenyList) -> None:
    await store.end_sessions("1", at=NOW)
    await store.end_sessions("1", at=NOW - SECOND)

    assert await is_denied(store, issued_at=NOW - timedelta(microseconds=1)) is True


async def test_a_later_end_replaces_an_earlier_one(store: DenyList) -> None:
    await store.end_sessions("1", at=NOW - SECOND)
    await store.end_sessions("1", at=NOW)

    assert await is_denied(store, issued_at=NOW - timedelta(microseconds=1)) is True


async def test_a_token_called_like_a_subject_is_another_thing(store: DenyList) -> None:
    await store.deny("s:1", until=NOW + SECOND)
    await store.deny("1", until=NOW + SECOND)

    assert await is_denied(store, "a", subject="1") is False


async def test_what_has_expired_is_forgotten(store: DenyList, clock: Clock) -> None:
    await store.deny("a", until=NOW + SECOND)
    await store.deny("b", until=NOW + timedelta(hours=1))
    await store.end_sessions("1", at=NOW)

    clock.advance(minutes=10)
    await purge(store)
    assert await size(store) == 2
    assert await is_denied(store, "b") is True

    clock.advance(days=366, minutes=5)
    await purge(store)
    assert await size(store) == 0


async def test_ended_sessions_are_kept_as_long_as_a_token_could_hold(
    store: DenyList, clock: Clock
) -> None:
    await store.end_sessions("1", at=NOW)
    clock.advance(days=366, minutes=4)
    await purge(store)

    assert await is_denied(store, issued_at=NOW - SECOND) is True


async def purge(store: Any) -> None:
    if isinstance(store, SQLAlchemyDenyList):
        await store.purge()
    else:
        await store.deny("x", until=NOW - SECOND)  # it purges as it goes
        store._denied.pop("x")


async def size(store: Any) -> int:
    if isinstance(store, MemoryDenyList):
        return len(store)
    async with store._db.read_session() as db:
        return int((await db.execute(select(func.count()).select_from(store.table))).scalar_one())


async def test_the_table_can_be_among_the_apps_own(tmp_path: Path) -> None:
    metadata = MetaData()
    table = deny_list_table(metadata, name="revoked")
    async with Database(f"sqlite:///{tmp_path / 'auth.db'}") as db:
        async with db.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        store = SQLAlchemyDenyList(db, table)
        await store.deny("a", until=NOW)

        assert await is_denied(store)
        assert await store.purge() >= 0


async def test_another_kind_of_database_is_refused() -> None:
    class Other:
        def session(self) -> Any:
            return self

        read_session = session

        async def __aenter__(self) -> Any:
            return self

        async def __aexit__(self, *exc: object) -> None: ...

        def get_bind(self) -> Any:
            return type("Bind", (), {"dialect": mysql.dialect()})

    with pytest.raises(ConfigurationError, match="not 'mysql'"):
        await SQLAlchemyDenyList(Other()).deny("a", until=NOW)


# --- behind Auth


@pytest.fixture
def auth(store: DenyList, clock: Clock) -> Auth[User]:
    return make_auth(Accounts([ADMIN]), clock=clock, denylist=store)


async def test_a_denied_token_is_an_invalid_one(auth: Auth[User]) -> None:
    headers, other = bearer(auth, ADMIN), bearer(auth, ADMIN)
    claims = await auth.verify_access_token(headers["Authorization"].split()[1])

    await auth.deny(claims)

    for path in PROTECTED:
        response = await get(make_app(auth), path, headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert (await get(make_app(auth), path, other)).status_code == 200
    with pytest.raises(InvalidTokenError):
        await auth.verify_access_token(headers["Authorization"].split()[1])


async def test_ending_all_sessions_refuses_what_was_issued_and_not_what_follows(
    auth: Auth[User], clock: Clock
) -> None:
    """A new log-in within the same second counts as after."""
    before = bearer(auth, ADMIN)
    clock.advance(microseconds=1)
    await auth.end_all_sessions("1")
    after = bearer(auth, ADMIN)

    assert (await get(make_app(auth), "/me", before)).status_code == 401
    assert (await get(make_app(auth), "/me", after)).status_code == 200


async def test_a_denied_token_stays_denied_while_leeway_accepts_it() -> None:
    clock = Clock()
    store = MemoryDenyList(clock=clock)
    auth = make_auth(clock=clock, denylist=store, leeway=timedelta(minutes=5))
    token = auth.create_access_token(subject="1")
    await auth.deny(await auth.verify_access_token(token))
    clock.advance(minutes=34, seconds=59)
    await store.end_sessions("2", at=NOW)

    with pytest.raises(InvalidTokenError):
        await auth.verify_access_token(token)


class Down:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = ConnectionError("postgresql://app:hunter2@db") if error is None else error

    async def deny(self, jti: str, *, until: datetime) -> bool:
        raise self.error

    async def end_sessions(self, subject: str, *, at: datetime) -> None:
        raise self.error

    async def is_denied(self, jti: str, *, subject: str, issued_at: datetime) -> bool:
        raise self.error


@pytest.mark.parametrize("path", PROTECTED)
async def test_a_store_that_is_down_is_503_and_never_not_revoked(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    auth = make_auth(Accounts([ADMIN]), denylist=Down())

    response = await get(make_app(auth), path, bearer(auth, ADMIN))

    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert "The deny list does not answer: ConnectionError" in caplog.text
    assert "hunter2" not in caplog.text + response.text


@pytest.mark.parametrize("path", PROTECTED)
async def test_a_bad_token_is_refused_without_asking_the_store(path: str) -> None:
    auth = make_auth(Accounts([ADMIN]), denylist=Down())

    response = await get(make_app(auth), path, {"Authorization": "Bearer x.y.z"})

    assert response.status_code == 401


async def test_nothing_is_said_to_be_revoked_by_a_store_that_is_down() -> None:
    auth = make_auth(denylist=Down())
    claims = await make_auth().verify_access_token(auth.create_access_token(subject="1"))

    with pytest.raises(ServiceUnavailableError):
        await auth.deny(claims)
    with pytest.raises(ServiceUnavailableError):
        await auth.end_all_sessions("1")
    with pytest.raises(ServiceUnavailableError):
        await auth.verify_access_token(auth.create_access_token(subject="1"))


async def test_an_answer_that_the_store_chooses_itself_is_passed_on() -> None:
    auth = make_auth(Accounts([ADMIN]), denylist=Down(TooManyRequestsError()))

    assert (await get(make_app(auth), "/me", bearer(auth, ADMIN))).status_code == 429


@pytest.mark.parametrize("answer", [None, 0, "", True, 1])
async def test_only_a_plain_no_lets_a_token_through(answer: Any) -> None:
    class Forgetful(Down):
        async def is_denied(self, jti: str, *, subject: str, issued_at: datetime) -> bool:
            return answer  # type: ignore[no-any-return]

    auth = make_auth(denylist=Forgetful())

    with pytest.raises(InvalidTokenError):
        await auth.verify_access_token(auth.create_access_token(subject="1"))


async def test_without_a_deny_list_nothing_can_be_denied() -> None:
    auth = make_auth()
    claims = await auth.verify_access_token(auth.create_access_token(subject="1"))

    with pytest.raises(ConfigurationError, match="no deny list"):
        await auth.deny(claims)
    with pytest.raises(ConfigurationError, match="no deny list"):
        await auth.end_all_sessions("1")


def test_openapi_is_told_of_the_503() -> None:
    with_store, without = make_auth(denylist=MemoryDenyList()), make_auth()

    assert ServiceUnavailableError in with_store.current_user.raises
    assert ServiceUnavailableError in with_store.optional_user.raises
    assert ServiceUnavailableError not in without.current_user.raises
