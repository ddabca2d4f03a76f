"""The stores of refresh tokens keep, replace and remove sessions alike."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import MetaData

from fastapi_kit import auth
from fastapi_kit.auth import (
    MemoryRefreshStore,
    RefreshSession,
    RefreshStore,
    RefreshTokens,
    SQLAlchemyRefreshStore,
    refresh_sessions_table,
)
from fastapi_kit.db import Base
from tests.auth.accounts import NOW, Clock

SESSION = RefreshSession(
    id="a" * 64,
    subject="1",
    scopes=frozenset({"items:read", "items:write"}),
    token_digest="1" * 64,
    auth_time=NOW + timedelta(microseconds=123457),
    expires_at=NOW + timedelta(days=14),
    ends_at=NOW + timedelta(days=60),
    access_tokens={"one jti: with a colon": NOW + timedelta(minutes=30)},
)
NEXT = replace(
    SESSION, token_digest="2" * 64, expires_at=NOW + timedelta(days=15), access_tokens={}
)
OTHERS = replace(SESSION, id="b" * 64, subject="2")


async def test_a_session_is_kept_as_it_is(store: RefreshStore) -> None:
    await store.add(SESSION)

    assert await store.get(SESSION.id) == SESSION
    assert await store.get("c" * 64) is None


async def test_a_session_is_replaced_where_it_still_has_the_token(store: RefreshStore) -> None:
    await store.add(SESSION)

    assert await store.replace(NEXT, token_digest=SESSION.token_digest)
    assert await store.get(SESSION.id) == NEXT


async def test_a_session_with_another_token_is_not_replaced(store: RefreshStore) -> None:
    await store.add(SESSION)

    assert not await store.replace(NEXT, token_digest="3" * 64)
    assert await store.get(SESSION.id) == SESSION


async def test_a_session_that_is_gone_is_not_replaced(store: RefreshStore) -> None:
    assert not await store.replace(NEXT, token_digest=SESSION.token_digest)
    assert await store.get(SESSION.id) is None


async def test_of_many_replacements_of_one_token_one_takes_place(store: RefreshStore) -> None:
    await store.add(SESSION)
    rivals = [replace(NEXT, token_digest=f"{number:064}") for number in range(8)]

    won = await asyncio.gather(
        *(store.replace(rival, token_digest=SESSION.token_digest) for rival in rivals)
    )

    assert sorted(won) == [False] * 7 + [True]
    assert await store.get(SESSION.id) == rivals[won.index(True)]


async def test_a_removed_session_is_given_as_it_stood(store: RefreshStore) -> None:
    await store.add(SESSION)
    await store.replace(NEXT, token_digest=SESSION.token_digest)

    assert await store.remove(SESSION.id) == NEXT
    assert await store.remove(SESSION.id) is None


async def test_all_sessions_of_a_subject_are_removed(store: RefreshStore) -> None:
    second = replace(SESSION, id="d" * 64)
    for session in (SESSION, second, OTHERS):
        await store.add(session)

    removed = await store.remove_all("1")

    assert sorted(session.id for session in removed) == [SESSION.id, second.id]
    assert await store.get(OTHERS.id) == OTHERS


async def test_the_session_of_one_log_in_is_removed(store: RefreshStore) -> None:
    later = replace(SESSION, id="d" * 64, auth_time=SESSION.auth_time + timedelta(microseconds=1))
    for session in (SESSION, later):
        await store.add(session)

    assert await store.remove_all("1", auth_time=SESSION.auth_time) == [SESSION]
    assert await store.get(later.id) == later


async def test_what_has_expired_is_purged(store: RefreshStore) -> None:
    for session in (SESSION, replace(OTHERS, expires_at=NOW + timedelta(days=20))):
        await store.add(session)
    tokens = RefreshTokens(store, clock=Clock(SESSION.expires_at))

    assert await tokens.purge() == 1
    assert await store.get(SESSION.id) is None
    assert await store.get(OTHERS.id) is not None


async def test_the_memory_store_purges_itself_at_log_ins() -> None:
    store = MemoryRefreshStore()
    await store.add(SESSION)
    await store.add(replace(OTHERS, auth_time=NOW + timedelta(minutes=5)))
    before = len(store)

    await store.add(replace(SESSION, id="c" * 64, auth_time=SESSION.expires_at))

    assert (before, len(store)) == (2, 1)


def test_the_table_can_be_part_of_the_apps_own_metadata() -> None:
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)

    table = refresh_sessions_table(metadata, name="log_ins")

    assert metadata.tables["log_ins"] is table
    assert table.primary_key.name == "pk_log_ins"
    assert SQLAlchemyRefreshStore(None, table).table is table  # type: ignore[arg-type]


def test_a_session_does_not_show_its_digest_and_tokens() -> None:
    assert SESSION.token_digest not in repr(SESSION)
    assert "jti" not in repr(SESSION)


def test_auth_is_imported_without_sqlalchemy_which_its_names_then_load() -> None:
    program = (
        "import sys, fastapi_kit.auth as auth; print('sqlalchemy' in sys.modules);"
        "auth.SQLAlchemyRefreshStore; print('sqlalchemy' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["False", "True"]


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'RefreshStorage'"):
        _ = auth.RefreshStorage  # type: ignore[attr-defined]
