"""What every test may use; a block's own fixtures stand beside its tests."""

import logging
import os
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from sqlalchemy import URL, make_url

POSTGRES_URL = os.environ.get(
    "KIT_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
)
REQUIRED = os.environ.get("CI") == "true"


def _forget_logging() -> None:
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for handler in root.handlers[:]:
        if type(handler).__module__ == "fastapi_kit.logs.configure":
            root.removeHandler(handler)


def pytest_collection_finish() -> None:
    """Undo what examples set up when they are imported: no test may depend on it."""
    _forget_logging()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what hostile input left in the captured log: a test process sends only UTF-8."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(autouse=True)
def logging_is_forgotten() -> Iterator[None]:
    yield
    _forget_logging()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class PostgresServer:
    """A real server, with databases that last as long as they are used."""

    url: URL

    def connect(self, url: str | URL) -> psycopg.Connection:
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(plain, autocommit=True, connect_timeout=3)

    @contextmanager
    def new_database(self) -> Iterator[str]:
        """URL of a database of one's own."""
        name = f"kit_test_{secrets.token_hex(6)}"
        with self.connect(self.url) as admin:
            admin.execute(f'CREATE DATABASE "{name}"')
            try:
                yield self.url.set(drivername="postgresql+psycopg", database=name).render_as_string(
                    hide_password=False
                )
            finally:
                admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def postgres() -> PostgresServer:
    """The server. Without one the test is skipped; with ``CI=true`` it fails."""
    server = PostgresServer(make_url(POSTGRES_URL))
    try:
        server.connect(server.url).close()
    except psycopg.OperationalError as error:  # pragma: no cover  # depends on the machine
        if REQUIRED:
            pytest.fail(f"CI=true requires PostgreSQL (KIT_TEST_POSTGRES_URL): {error}")
        pytest.skip("no PostgreSQL answers at KIT_TEST_POSTGRES_URL")
    return server


@pytest.fixture(scope="session")
def postgres_server(postgres: PostgresServer) -> Iterator[str]:
    """URL of a database of this run's own on the server, removed at the end."""
    with postgres.new_database() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_connection(
    postgres: PostgresServer, postgres_server: str
) -> Iterator[psycopg.Connection]:
    """Kept, because hundreds of tests want an empty schema."""
    with postgres.connect(postgres_server) as connection:
        yield connection


@pytest.fixture
def postgres_url(postgres_server: str, postgres_connection: psycopg.Connection) -> str:
    """URL of this run's PostgreSQL database with an empty public schema."""
    postgres_connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return postgres_server
