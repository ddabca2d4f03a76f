import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import make_url

from fastapi_kit.settings import DatabaseUrl, SecretUrl


class Model(BaseModel):
    url: SecretUrl = SecretUrl("x://y")
    database: DatabaseUrl = SecretUrl("x://y")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgres://db/shop", "postgresql+psycopg://db/shop"),
        ("postgresql://db/shop", "postgresql+psycopg://db/shop"),
        ("PostgreSQL+psycopg2://db/shop", "postgresql+psycopg://db/shop"),
        ("postgresql+asyncpg://db/shop", "postgresql+asyncpg://db/shop"),
        ("sqlite:///app.db", "sqlite+aiosqlite:///app.db"),
        ("sqlite+pysqlite:///app.db", "sqlite+aiosqlite:///app.db"),
        ("mysql+asyncmy://db/shop", "mysql+asyncmy://db/shop"),
    ],
)
def test_database_urls_get_their_async_driver(given: str, expected: str) -> None:
    assert Model(database=given).database == expected


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        ("redis://:hunter2@cache", "redis://:***@cache"),
        ("postgresql://me:hunter2@db/shop", "postgresql://me:***@db/shop"),
        ("postgresql://me:hun@/ter2:@db/shop", "postgresql://me:***@db/shop"),
        (
            "postgresql://db/shop?user=me&password=hunter2#x",
            "postgresql://db/shop?user=me&password=***#x",
        ),
        (
            "postgresql://db/shop?sslPassword=hunter2&a=b",
            "postgresql://db/shop?sslPassword=***&a=b",
        ),
    ],
)
def test_passwords_are_hidden_from_readers(url: str, shown: str) -> None:
    secret = SecretUrl(url)

    assert str(secret) == f"{secret}" == "%s" % secret == shown  # noqa: UP031
    assert repr(secret) == f"SecretUrl({shown!r})"
    assert f"{secret:>80}" == f"{shown:>80}"


@given(st.text(min_size=8).map(lambda text: f"hunter2{text}"))
def test_no_password_shows_through(password: str) -> None:
    secret = SecretUrl(f"postgresql://me:{password}@db/shop")

    assert "hunter2" not in f"{secret!s}{secret!r}{Model(url=secret)!r}"
    assert "hunter2" not in Model(url=secret).model_dump_json()


def test_the_whole_value_reaches_drivers() -> None:
    url = SecretUrl("postgresql://me:hunter2@db/shop")

    assert make_url(url).password == "hunter2"
    assert type(url.get_secret_value()) is str
    assert url == url.get_secret_value() == "postgresql://me:hunter2@db/shop"


def test_copies_keep_the_whole_value() -> None:
    url = SecretUrl("postgresql://me:hunter2@db/shop")

    for copied in (SecretUrl(url), copy.deepcopy(url), pickle.loads(pickle.dumps(url))):
        assert isinstance(copied, SecretUrl)
        assert copied.get_secret_value() == "postgresql://me:hunter2@db/shop"
    assert Model(url=url).url.get_secret_value() == "postgresql://me:hunter2@db/shop"


@pytest.mark.parametrize("text", ["", "hunter2", "://x", "host=db password=hunter2"])
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Input should be a URL"):
        Model(url=text)


def test_schemas_describe_a_string() -> None:
    assert Model.model_json_schema()["properties"]["url"]["type"] == "string"
