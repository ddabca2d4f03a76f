"""Schemas that come up to date at the start, once, however many workers start."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent

import pytest
from alembic import command
from alembic.config import Config
from anyio import run_process
from fastapi import FastAPI
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from fastapi_kit.db import Database, SyncDatabase
from fastapi_kit.db.migrations import DatabaseBehindError, Migrations
from fastapi_kit.errors import ConfigurationError
from fastapi_kit.health import Health
from fastapi_kit.lifespan import compose

from .shop import running

ENV = """
from sqlalchemy import Column, Integer, MetaData, Table

from fastapi_kit.db import UTCDateTime
from fastapi_kit.db.migrations import run_migrations

metadata = MetaData()
Table("parents", metadata, Column("id", Integer, primary_key=True), Column("at", UTCDateTime))
run_migrations(metadata)
"""
TEMPLATE = """import sqlalchemy as sa
from alembic import op
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
def upgrade():
    ${upgrades}
"""
FIRST = """
op.execute("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
op.execute("CREATE TABLE children (id INTEGER PRIMARY KEY, "
           "parent_id INTEGER NOT NULL REFERENCES parents (id) ON DELETE CASCADE)")
op.execute("INSERT INTO parents VALUES (1)")
op.execute("INSERT INTO children VALUES (1, 1)")
"""
ALTER = """
with op.batch_alter_table("parents") as batch:
    batch.add_column(sa.Column("at", sa.DateTime(timezone=True)))
"""
COPY = """
with op.batch_alter_table("parents", recreate="always") as batch:
    batch.add_column(sa.Column("at", sa.DateTime(timezone=True)))
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "100% migrations"
    (directory / "versions").mkdir(parents=True)
    (directory / "env.py").write_text(ENV)
    (directory / "script.py.mako").write_text(TEMPLATE)
    add_revision(directory, "0001", None, FIRST)
    return directory


def add_revision(directory: Path, revision: str, down: str | None, code: str) -> None:
    lines = [
        "import sqlalchemy as sa",
        "from alembic import op",
        f"revision, down_revision = {revision!r}, {down!r}",
        "def upgrade():",
        *(f"    {line}" for line in dedent(code).strip().splitlines()),
    ]
    (directory / "versions" / f"{revision}.py").write_text("\n".join(lines))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url) as database:
        yield database


async def rows(db: Database, table: str) -> int:
    async with db.read_session() as session:
        return int(await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


async def test_an_empty_database_is_upgraded(driver_url: str, directory: Path) -> None:
    async with Database(driver_url) as db:
        await Migrations(db, directory).upgrade()

        assert await rows(db, "children") == 1


async def test_an_upgrade_goes_on_where_the_last_one_ended(db: Database, directory: Path) -> None:
    await Migrations(db, directory).upgrade()
    add_revision(directory, "0002", "0001", "op.execute('CREATE TABLE second (id INTEGER)')")

    await Migrations(db, directory).upgrade()

    assert await rows(db, "second") == 0
    assert await rows(db, "parents") == 1


async def test_a_database_that_is_up_to_date_is_not_locked(db: Database, directory: Path) -> None:
    await Migrations(db, directory).upgrade()
    migrations = Migrations(db, directory, lock_timeout_seconds=0)

    async with db.session() as session:
        await session.execute(
            text("SELECT pg_advisory_lock(3278274548)" if is_pg(db) else "SELECT 1")
        )
        await migrations.upgrade()


def is_pg(db: Database) -> bool:
    return db.url.get_backend_name() == "postgresql"


async def test_the_lock_is_waited_for_no_longer_than_asked(
    database_url: str, db: Database, directory: Path
) -> None:
    async with (
        Database(database_url, busy_timeout_seconds=0) as late,
        db.engine.connect() as connection,
    ):
        lock = "SELECT pg_advisory_lock(3278274548)" if is_pg(db) else "SELECT 1"
        await connection.execute(text(lock))
        with pytest.raises(TimeoutError, match=r"for more than 0\.15 seconds"):
            await Migrations(late, directory, lock_timeout_seconds=0.15).upgrade()
        await connection.rollback()
        await connection.invalidate()

        await Migrations(late, directory).upgrade()


async def test_the_lock_goes_with_an_upgrade_that_fails(db: Database, directory: Path) -> None:
    add_revision(directory, "0002", "0001", "op.execute('CREATE TABLE x (id INTEGER)')\n1 / 0")
    with pytest.raises(ZeroDivisionError):
        await Migrations(db, directory).upgrade()
    add_revision(directory, "0002", "0001", "op.execute('CREATE TABLE x (id INTEGER)')")

    await Migrations(db, directory, lock_timeout_seconds=5).upgrade()

    assert await rows(db, "x") == 0
    assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_an_upgrade_that_fails_leaves_nothing_behind(db: Database, directory: Path) -> None:
    add_revision(directory, "0002", "0001", "op.execute('CREATE TABLE x (id INTEGER)')\n1 / 0")

    with pytest.raises(ZeroDivisionError):
        await Migrations(db, directory).upgrade()

    for table in ("parents", "x"):
        with pytest.raises(DBAPIError):
            await rows(db, table)


WORKERS = """
import asyncio, os, sys
from fastapi_kit.db import Database
from fastapi_kit.db.migrations import Migrations

async def main():
    async with Database(sys.argv[1], busy_timeout_seconds=0.05) as db:
        await Migrations(db, sys.argv[2]).upgrade()

workers = 4
for _ in range(workers):
    if os.fork() == 0:
        asyncio.run(main())
        os._exit(0)
sys.exit(sum(os.wait()[1] != 0 for _ in range(workers)))
"""


async def test_of_workers_that_start_at_once_one_upgrades(db: Database, directory: Path) -> None:
    """Processes of their own; the migration is slow, so that all others find it at work."""
    code = "import time\ntime.sleep(0.2)\nop.execute('CREATE TABLE x (n INT)')"
    add_revision(directory, "0002", "0001", code)
    url = db.url.render_as_string(hide_password=False)
    await db.ping()  # a new SQLite file is switched to WAL, for which the workers would wait too

    ran = await run_process([sys.executable, "-c", WORKERS, url, str(directory)], check=False)

    assert ran.returncode == 0, ran.stderr.decode()
    assert await rows(db, "x") == 0
    await Migrations(db, directory).check()


async def test_an_index_can_be_made_while_others_wait(postgres_url: str, directory: Path) -> None:
    """CREATE INDEX CONCURRENTLY waits for all statements; a worker that waits must have none."""
    code = """
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY ix ON children (parent_id)")
    """
    add_revision(directory, "0002", "0001", code)

    async with Database(postgres_url) as one, Database(postgres_url) as two:
        await asyncio.gather(*(Migrations(db, directory).upgrade() for db in (one, two)))
        await Migrations(one, directory).check()


async def test_a_table_copied_on_sqlite_keeps_what_refers_to_it(
    sqlite_url: str, directory: Path
) -> None:
    """Copying drops the old table; with foreign keys on, that would delete the children."""
    async with Database(sqlite_url) as db:
        await Migrations(db, directory).upgrade()
        add_revision(directory, "0002", "0001", COPY)
        await Migrations(db, directory).upgrade()

        assert await rows(db, "children") == 1
        async with db.session() as session:
            assert await session.scalar(text("PRAGMA foreign_keys")) == 1


async def test_a_migration_that_breaks_foreign_keys_is_undone(
    sqlite_url: str, directory: Path
) -> None:
    add_revision(directory, "0002", "0001", 'op.execute("DELETE FROM parents")')
    async with Database(sqlite_url) as db:
        with pytest.raises(IntegrityError, match=r"\('children', 'parents'\)"):
            await Migrations(db, directory).upgrade()
        with pytest.raises(OperationalError, match="no such table"):
            await rows(db, "parents")


async def test_foreign_keys_that_were_broken_before_do_not_stop_it(
    sqlite_url: str, directory: Path
) -> None:
    async with Database(sqlite_url, sqlite_pragmas={"foreign_keys": "OFF"}) as db:
        await Migrations(db, directory).upgrade()
        async with db.session() as session:
            await session.execute(text("DELETE FROM parents"))
        add_revision(directory, "0002", "0001", COPY)

        await Migrations(db, directory).upgrade()


async def test_what_is_not_a_lock_is_not_waited_for(sqlite_url: str, directory: Path) -> None:
    async with Database(sqlite_url) as db:

        @event.listens_for(db.engine.sync_engine, "begin")
        def fail(_connection: object) -> None:
            raise OperationalError("BEGIN", None, sqlite3.OperationalError("disk I/O error"))

        with pytest.raises(OperationalError, match="disk I/O error"):
            await Migrations(db, directory).upgrade()


async def test_readiness_knows_a_database_that_is_behind(db: Database, directory: Path) -> None:
    migrations = Migrations(db, directory)
    app = FastAPI(lifespan=db.lifespan)
    app.include_router(Health(checks={"migrations": migrations.check}).router)

    async with running(app) as client:
        behind = await client.get("/readyz")
    await migrations.upgrade()
    fresh = FastAPI(lifespan=db.lifespan)
    fresh.include_router(Health(checks={"migrations": migrations.check}).router)
    async with running(fresh) as client:
        ready = await client.get("/readyz")

    assert (behind.status_code, ready.status_code) == (503, 200)


async def test_the_error_names_what_is_missing(db: Database, directory: Path) -> None:
    await Migrations(db, directory).upgrade()
    add_revision(directory, "0002", "0001", "pass")

    with pytest.raises(DatabaseBehindError, match=r"\['0002'\] are missing"):
        await Migrations(db, directory).check()


async def test_a_database_that_is_ahead_is_ready_and_left_alone(
    db: Database, directory: Path
) -> None:
    """While a newer app is rolled out, the older one still serves and may start again."""
    add_revision(directory, "0002", "0001", "pass")
    await Migrations(db, directory).upgrade()
    (directory / "versions" / "0002.py").unlink()
    older = Migrations(db, directory)

    await older.check()
    await older.upgrade()


async def test_branches_are_all_upgraded(db: Database, directory: Path) -> None:
    add_revision(directory, "000a", "0001", "op.execute('CREATE TABLE a (id INTEGER)')")
    add_revision(directory, "000b", "0001", "op.execute('CREATE TABLE b (id INTEGER)')")

    await Migrations(db, directory).upgrade()

    await Migrations(db, directory).check()
    assert [await rows(db, "a"), await rows(db, "b")] == [0, 0]


async def test_it_is_a_part_of_the_lifespan(db: Database, directory: Path) -> None:
    migrations = Migrations(db, directory, version_table="shop_version")
    app = FastAPI(lifespan=compose(db.lifespan, migrations.lifespan))

    async with app.router.lifespan_context(app):
        await migrations.check()
        assert await rows(db, "shop_version") == 1


def test_a_directory_without_env_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"has no env\.py"):
        Migrations(Database(sqlite_url), tmp_path)


def cli(directory: Path, url: str | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(directory).replace("%", "%%"))
    if url is not None:
        config.set_main_option("sqlalchemy.url", url)
    return config


@pytest.fixture(params=["sqlite", "postgres"])
def cli_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


def test_the_command_line_upgrades(cli_url: str, directory: Path) -> None:
    command.upgrade(cli(directory, cli_url), "head")
    add_revision(directory, "0002", "0001", ALTER)
    command.upgrade(cli(directory, cli_url), "head")

    with SyncDatabase(make_url(cli_url)) as db, db.read_session() as session:
        assert session.scalar(text("SELECT count(*) FROM children")) == 1


def test_autogenerate_writes_plain_types(cli_url: str, directory: Path) -> None:
    config = cli(directory, cli_url)
    command.upgrade(config, "head")

    script = command.revision(config, "at", autogenerate=True, rev_id="0002")

    written = Path(script.path).read_text()  # type: ignore[union-attr]
    assert "sa.Column('at', sa.DateTime(timezone=True), nullable=True)" in written


def test_the_command_line_needs_a_url(directory: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"has no sqlalchemy\.url"):
        command.upgrade(cli(directory, None), "head")


def test_without_alembic_it_names_the_extra() -> None:
    code = "import sys; sys.modules['alembic'] = None; import fastapi_kit.db.migrations"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "needs the package 'alembic'" in ran.stderr
    assert "fastapi-kit[migrations]" in ran.stderr
