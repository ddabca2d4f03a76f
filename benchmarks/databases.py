"""Databases of our own to measure on: a SQLite file, and a database on a PostgreSQL server."""

import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import URL, make_url

VARIABLE = "BENCHMARK_DATABASE_URL"
SERVER = os.environ.get("KIT_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


def url() -> str:
    """Where the apps of this process find their database."""
    return os.environ[VARIABLE]


@contextmanager
def sqlite() -> Iterator[str]:
    """URL of a new file, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        yield f"sqlite+aiosqlite:///{Path(folder) / 'benchmarks.sqlite'}"


@contextmanager
def postgres() -> Iterator[str | None]:
    """URL of a new database, removed at the end; ``None`` where no server answers."""
    server = make_url(SERVER)
    try:
        admin = connect(server)
    except psycopg.OperationalError:
        print("Left out: PostgreSQL; none answers at KIT_TEST_POSTGRES_URL.", file=sys.stderr)
        yield None
        return
    name = f"kit_bench_{secrets.token_hex(6)}"
    with admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            ours = server.set(drivername="postgresql+psycopg", database=name)
            yield ours.render_as_string(hide_password=False)
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def connect(at: URL) -> psycopg.Connection:
    plain = at.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True, connect_timeout=3)
