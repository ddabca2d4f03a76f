"""What the page "From the tutorial" says of both columns, shown on the code that it shows."""

import asyncio
import json
import logging
import runpy
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jose import jwt
from pydantic import Field, ValidationError
from sqlalchemy import create_engine, make_url, select
from sqlalchemy.orm import Session

from fastapi_kit.auth import Auth, PasswordHasher
from fastapi_kit.errors import ConfigurationError
from fastapi_kit.testing import app_client, assert_problem

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "from_the_tutorial"
COLUMNS = ("tutorial", "kit")


def load(column: str, name: str) -> Any:
    """An example's names, from a run of its own."""
    return SimpleNamespace(**runpy.run_path(str(EXAMPLES / column / f"{name}.py")))


def names_in(column: str) -> set[str]:
    return {path.stem for path in (EXAMPLES / column).glob("[!_]*.py")}


@asynccontextmanager
async def calling(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sees what a browser would: an unhandled error is a 500."""
    async with app_client(app, raise_app_exceptions=False) as client:
        yield client


async def get(app: FastAPI, url: str, **options: Any) -> httpx.Response:
    async with calling(app) as client:
        return await client.get(url, **options)


@pytest.fixture(autouse=True)
def as_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder and environment; logging is put back afterwards."""
    monkeypatch.chdir(tmp_path)
    for variable in ("DATABASE_URL", "ENVIRONMENT", "SECRET_KEY"):
        monkeypatch.delenv(variable, raising=False)
    loggers = [
        logging.getLogger(name) for name in (None, "uvicorn", "uvicorn.access", "uvicorn.error")
    ]
    states = [(log, log.level, log.handlers[:], log.filters[:], log.propagate) for log in loggers]
    yield
    for log, level, handlers, filters, propagate in states:
        log.setLevel(level)
        log.handlers[:], log.filters[:], log.propagate = handlers, filters, propagate


def test_each_example_has_its_counterpart_and_is_on_the_page() -> None:
    page = (ROOT / "docs" / "from-the-tutorial.md").read_text()

    assert names_in("tutorial") == names_in("kit")
    for column in COLUMNS:
        for name in names_in(column):
            assert f'--8<-- "examples/from_the_tutorial/{column}/{name}.py:' in page


# Databases


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'app.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


def create_tables(base: Any, url: str, *rows: object) -> None:
    engine = create_engine(url)
    base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all(rows)
    engine.dispose()


def stored(entity: Any, url: str) -> list[Any]:
    engine = create_engine(url)
    with Session(engine) as session:
        found = list(session.scalars(select(entity)))
    engine.dispose()
    return found


# get_pagination

TOO_FAR = f"/items?page={2**63 - 1}"


@pytest.fixture
def items_by_the_tutorial(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FastAPI]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    tutorial = load("tutorial", "get_pagination")
    create_tables(tutorial.Base, database_url, *(tutorial.Item(name=f"{n}") for n in range(25)))
    yield tutorial.app
    tutorial.engine.dispose()


@pytest.fixture
def items_by_the_kit(database_url: str, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setenv("DATABASE_URL", database_url)
    kit = load("kit", "get_pagination")
    create_tables(kit.Base, database_url, *(kit.Item(name=f"{n}") for n in range(25)))
    app: FastAPI = kit.app
    return app


async def test_get_pagination_of_the_tutorial_gives_no_total(
    items_by_the_tutorial: FastAPI,
) -> None:
    response = await get(items_by_the_tutorial, "/items?page=3")

    assert [item["name"] for item in response.json()] == ["20", "21", "22", "23", "24"]
    assert "link" not in response.headers


async def test_get_pagination_of_the_tutorial_answers_500_to_a_huge_page(
    items_by_the_tutorial: FastAPI,
) -> None:
    response = await get(items_by_the_tutorial, TOO_FAR)

    assert response.status_code == 500


async def test_pagination_dep_gives_total_and_links(items_by_the_kit: FastAPI) -> None:
    response = await get(items_by_the_kit, "/items?page=3")

    assert [item["name"] for item in response.json()["items"]] == ["20", "21", "22", "23", "24"]
    assert response.json()["total"] == 25
    assert 'rel="prev"' in response.headers["link"]


async def test_pagination_dep_answers_422_to_a_huge_page(items_by_the_kit: FastAPI) -> None:
    response = await get(items_by_the_kit, TOO_FAR)

    assert response.status_code == 422


# A Pagination class


@pytest.mark.parametrize(
    ("query", "count"),
    [("limit=1000000", 1000), ("limit=-1", 999), ("skip=-3", 0)],
    ids=["all at once", "all but one", "nothing"],
)
async def test_a_pagination_class_takes_any_numbers(query: str, count: int) -> None:
    response = await get(load("tutorial", "pagination_class").app, f"/items?{query}")

    assert response.status_code == 200
    assert len(response.json()) == count


def test_a_field_as_a_query_parameter_is_refused_at_import() -> None:
    def list_items(skip: int = Field(0, ge=0)) -> None: ...

    with pytest.raises(AssertionError, match="must be in path, query"):
        FastAPI().get("/items")(list_items)


@pytest.mark.parametrize("query", ["limit=1000000", "limit=-1", "skip=-3"])
async def test_skip_limit_dep_refuses_numbers_out_of_bounds(query: str) -> None:
    response = await get(load("kit", "pagination_class").app, f"/items?{query}")

    assert response.status_code == 422


async def test_skip_limit_dep_gives_the_part_that_was_asked_for() -> None:
    response = await get(load("kit", "pagination_class").app, "/items?skip=998")

    assert response.json() == {
        "items": ["item 999", "item 1000"],
        "total": 1000,
        "skip": 998,
        "limit": 10,
    }


# get_db


async def register_twice(app: FastAPI) -> list[httpx.Response]:
    async with calling(app) as client:
        return [
            await client.post("/users", params={"email": "ada@example.com", "name": name})
            for name in ("Ada", "Impostor")
        ]


async def test_get_db_of_the_tutorial_answers_201_when_the_commit_fails(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(database_url.replace("sqlite:", "sqlite+aiosqlite:"))
    monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
    tutorial = load("tutorial", "get_db")
    create_tables(tutorial.Base, database_url)

    first, second = await register_twice(tutorial.app)
    await tutorial.engine.dispose()

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json()["name"] == "Impostor"
    assert [user.name for user in stored(tutorial.User, database_url)] == ["Ada"]


async def test_session_dep_commits_before_the_answer(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    kit = load("kit", "get_db")
    create_tables(kit.Base, database_url)

    first, second = await register_twice(kit.app)

    assert first.status_code == 201
    assert_problem(second, 409)
    assert [user.name for user in stored(kit.User, database_url)] == ["Ada"]


# Tokens and users


@pytest.fixture
def tutorial() -> Any:
    return load("tutorial", "auth")


@pytest.fixture
def kit() -> Any:
    return load("kit", "auth")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def issued_by(kit: Any, **changes: object) -> str:
    """One of the kit's own tokens with other claims, signed by the same secret; ``None``: none."""
    token = kit.auth.create_access_token(subject="ada")
    claims = {**jwt.get_unverified_claims(token), **changes}
    kept = {name: value for name, value in claims.items() if value is not None}
    secret = kit.settings.secret_key.get_secret_value()
    again: str = jwt.encode(kept, secret, headers=jwt.get_unverified_header(token))
    return again


def nested_header() -> str:
    """A token that nobody signed; its header is an array in an array, thousands deep."""
    header = urlsafe_b64encode(b"[" * 30_000).decode()
    return f"{header}.e30.c2ln"


def test_create_access_token_of_the_tutorial_signs_by_a_secret_that_all_know(
    tutorial: Any,
) -> None:
    token = tutorial.create_access_token({"sub": "ada"})

    assert jwt.decode(token, "CHANGE_ME", algorithms=["HS256"])["sub"] == "ada"


def test_auth_refuses_a_secret_that_is_short(kit: Any) -> None:
    with pytest.raises(ConfigurationError, match="9 bytes"):
        Auth.from_secret("CHANGE_ME", users=kit.Users(), token_url="/auth/token")


def test_create_access_token_of_the_tutorial_takes_no_lifetime_for_15_minutes(
    tutorial: Any,
) -> None:
    token = tutorial.create_access_token({"sub": "ada"}, timedelta(0))

    assert jwt.decode(token, "CHANGE_ME", algorithms=["HS256"])["sub"] == "ada"


def test_create_access_token_refuses_no_lifetime(kit: Any) -> None:
    with pytest.raises(ValueError, match="ttl=0:00:00"):
        kit.auth.create_access_token(subject="ada", ttl=timedelta(0))


async def test_create_access_token_of_the_tutorial_signs_what_its_own_check_refuses(
    tutorial: Any,
) -> None:
    token = tutorial.create_access_token({"sub": 7})

    response = await get(tutorial.app, "/me", headers=bearer(token))

    assert response.status_code == 401


def test_create_access_token_refuses_a_subject_that_is_no_string(kit: Any) -> None:
    with pytest.raises(ValueError, match="subject=7"):
        kit.auth.create_access_token(subject=7)


async def test_get_current_user_of_the_tutorial_knows_the_user(tutorial: Any) -> None:
    token = tutorial.create_access_token({"sub": "ada"})

    response = await get(tutorial.app, "/me", headers=bearer(token))

    assert response.json()["username"] == "ada"


async def test_get_current_user_of_the_tutorial_refuses_an_unknown_user(tutorial: Any) -> None:
    token = tutorial.create_access_token({"sub": "nobody"})

    response = await get(tutorial.app, "/me", headers=bearer(token))

    assert response.status_code == 401


async def test_get_current_user_of_the_tutorial_accepts_a_token_for_ever(tutorial: Any) -> None:
    token = jwt.encode({"sub": "ada"}, tutorial.SECRET_KEY)

    response = await get(tutorial.app, "/me", headers=bearer(token))

    assert response.status_code == 200


async def test_get_current_user_of_the_tutorial_accepts_a_token_for_something_else(
    tutorial: Any,
) -> None:
    token = tutorial.create_access_token({"sub": "ada", "purpose": "verify-email"})

    response = await get(tutorial.app, "/me", headers=bearer(token))

    assert response.status_code == 200


async def test_get_current_user_of_the_tutorial_answers_500_to_a_nested_header(
    tutorial: Any,
) -> None:
    response = await get(tutorial.app, "/me", headers=bearer(nested_header()))

    assert response.status_code == 500


async def test_current_user_knows_the_user(kit: Any) -> None:
    response = await get(kit.app, "/me", headers=bearer(issued_by(kit)))

    assert response.json()["username"] == "ada"


async def test_current_user_refuses_a_token_for_ever(kit: Any) -> None:
    response = await get(kit.app, "/me", headers=bearer(issued_by(kit, exp=None)))

    assert_problem(response, 401, type="/problems/invalid-token")


async def test_current_user_refuses_a_token_for_something_else(kit: Any) -> None:
    token = issued_by(kit, aud="verify-email")

    response = await get(kit.app, "/me", headers=bearer(token))

    assert_problem(response, 401, type="/problems/invalid-token")


async def test_current_user_refuses_a_nested_header(kit: Any) -> None:
    response = await get(kit.app, "/me", headers=bearer(nested_header()))

    assert_problem(response, 401, type="/problems/invalid-token")


@pytest.mark.parametrize(("path", "status"), [("/me", 200), ("/orders", 400)])
async def test_a_disabled_user_of_the_tutorial_gets_in_where_the_second_helper_is_forgotten(
    tutorial: Any, path: str, status: int
) -> None:
    token = tutorial.create_access_token({"sub": "eve"})

    response = await get(tutorial.app, path, headers=bearer(token))

    assert response.status_code == status


async def test_an_active_user_of_the_tutorial_gets_in(tutorial: Any) -> None:
    token = tutorial.create_access_token({"sub": "bob"})

    response = await get(tutorial.app, "/orders", headers=bearer(token))

    assert response.json() == ["an order of bob"]


@pytest.mark.parametrize("path", ["/me", "/orders"])
async def test_current_user_refuses_a_disabled_user_everywhere(kit: Any, path: str) -> None:
    token = kit.auth.create_access_token(subject="eve")

    response = await get(kit.app, path, headers=bearer(token))

    assert_problem(response, 401)


async def test_current_user_lets_an_active_user_in(kit: Any) -> None:
    token = kit.auth.create_access_token(subject="bob")

    response = await get(kit.app, "/orders", headers=bearer(token))

    assert response.json() == ["an order of bob"]


# require_admin


async def delete_bob_as(app: FastAPI, token: str) -> httpx.Response:
    async with calling(app) as client:
        return await client.delete("/users/bob", headers=bearer(token))


@pytest.mark.parametrize(("username", "status"), [("ada", 200), ("bob", 403), ("eve", 200)])
async def test_require_admin_of_the_tutorial_lets_a_disabled_admin_in(
    tutorial: Any, username: str, status: int
) -> None:
    token = tutorial.create_access_token({"sub": username})

    response = await delete_bob_as(tutorial.app, token)

    assert response.status_code == status


@pytest.mark.parametrize(("username", "status"), [("ada", 200), ("bob", 403), ("eve", 401)])
async def test_require_refuses_a_disabled_admin(kit: Any, username: str, status: int) -> None:
    response = await delete_bob_as(kit.app, kit.auth.create_access_token(subject=username))

    assert response.status_code == status


def responses_of_delete(app: FastAPI) -> set[str]:
    return set(app.openapi()["paths"]["/users/{username}"]["delete"]["responses"])


def test_require_admin_of_the_tutorial_is_not_in_openapi(tutorial: Any) -> None:
    assert responses_of_delete(tutorial.app) == {"200", "422"}


def test_require_is_in_openapi(kit: Any) -> None:
    assert responses_of_delete(kit.app) == {"200", "401", "403", "422"}


# hash_password and verify_password

START = "correct horse battery staple, " * 3  # over 72 bytes


async def turns_of_the_loop_during(work: Awaitable[object]) -> int:
    """How often others got their turn before the work was done."""
    task = asyncio.ensure_future(work)
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    return turns


def test_verify_password_of_the_tutorial_reads_72_bytes() -> None:
    tutorial = load("tutorial", "passwords")

    stored_hash = tutorial.hash_password(START + "one")

    assert tutorial.verify_password(START + "two", stored_hash)


async def test_verify_reads_the_whole_password() -> None:
    kit = load("kit", "passwords")

    stored_hash = await kit.hash_password(START + "one")

    assert await kit.verify_password(START + "one", stored_hash)
    assert not await kit.verify_password(START + "two", stored_hash)


@pytest.mark.parametrize("stored_hash", ["", "plain text"])
def test_verify_password_of_the_tutorial_raises_on_what_is_no_hash(stored_hash: str) -> None:
    tutorial = load("tutorial", "passwords")

    with pytest.raises(ValueError, match="hash could not be identified"):
        tutorial.verify_password("password", stored_hash)


@pytest.mark.parametrize("stored_hash", ["", "plain text"])
async def test_verify_is_false_on_what_is_no_hash(stored_hash: str) -> None:
    kit = load("kit", "passwords")

    assert not await kit.verify_password("password", stored_hash)


async def test_hash_password_of_the_tutorial_stops_all_other_requests() -> None:
    tutorial = load("tutorial", "passwords")

    async def route() -> None:
        tutorial.hash_password("password")

    assert await turns_of_the_loop_during(route()) == 1


async def test_hash_leaves_the_loop_to_other_requests() -> None:
    kit = load("kit", "passwords")

    assert await turns_of_the_loop_during(kit.hash_password("password")) > 10


async def log_in(app: FastAPI, username: str) -> httpx.Response:
    form = {"grant_type": "password", "username": username, "password": "password"}
    async with calling(app) as client:
        return await client.post("/auth/token", data=form)


async def test_an_old_bcrypt_hash_logs_in_and_is_replaced(kit: Any) -> None:
    kit.PASSWORD_HASHES["ada"] = load("tutorial", "passwords").hash_password("password")

    response = await log_in(kit.app, "ada")

    assert response.status_code == 200
    assert kit.PASSWORD_HASHES["ada"].startswith("$argon2id$")


async def test_a_disabled_user_cannot_log_in(kit: Any) -> None:
    kit.PASSWORD_HASHES["eve"] = await PasswordHasher.for_tests().hash("password")

    response = await log_in(kit.app, "eve")

    assert response.json()["error"] == "invalid_grant"


# AppError and its handler


async def buy_badly(app: FastAPI) -> list[httpx.Response]:
    """What is out of stock, what is no number, and what the code forgot."""
    async with calling(app) as client:
        return [await client.post(f"/items/{item_id}/buy") for item_id in ("1", "one", "3")]


async def test_errors_of_the_tutorial_have_three_shapes() -> None:
    told, invalid, unhandled = await buy_badly(load("tutorial", "app_error").app)

    assert [told.status_code, invalid.status_code, unhandled.status_code] == [409, 422, 500]
    assert isinstance(told.json()["detail"], str)
    assert isinstance(invalid.json()["detail"], list)
    assert unhandled.text == "Internal Server Error"


async def test_errors_have_one_shape() -> None:
    told, invalid, unhandled = await buy_badly(load("kit", "app_error").app)

    assert_problem(told, 409, detail="None left")
    assert_problem(invalid, 422)
    assert_problem(unhandled, 500)


@pytest.mark.parametrize(("column", "status"), [("tutorial", 500), ("kit", 409)])
async def test_an_app_without_the_handler_knows_only_our_error(column: str, status: int) -> None:
    """The tutorial's error needs its handler in each app; ours is an HTTPException."""
    example = load(column, "app_error")
    other = FastAPI()
    other.post("/items/{item_id}/buy")(example.buy)

    async with calling(other) as client:
        response = await client.post("/items/1/buy")

    assert response.status_code == status


@pytest.mark.parametrize("column", COLUMNS)
async def test_what_is_in_stock_is_bought(column: str) -> None:
    async with calling(load(column, "app_error").app) as client:
        response = await client.post("/items/2/buy")

    assert response.json() == 5


# The validation handler

SHORT_PASSWORD = {"name": "ada", "password": "hunter2"}
RESERVED_NAME = {"name": "root", "password": "correct horse"}


async def register(column: str, user: dict[str, str]) -> httpx.Response:
    async with calling(load(column, "validation_handler").app) as client:
        return await client.post("/users", json=user)


async def test_the_validation_handler_of_the_tutorial_repeats_the_password() -> None:
    response = await register("tutorial", SHORT_PASSWORD)

    assert response.status_code == 400
    assert "hunter2" in response.text


async def test_validation_problems_do_not_repeat_the_password() -> None:
    response = await register("kit", SHORT_PASSWORD)

    problem = assert_problem(response, 422)
    assert problem["errors"][0]["pointer"] == "#/password"
    assert "hunter2" not in response.text


async def test_the_validation_handler_of_the_tutorial_fails_on_a_validator_of_ones_own() -> None:
    response = await register("tutorial", RESERVED_NAME)

    assert response.status_code == 500


async def test_validation_problems_tell_what_a_validator_of_ones_own_says() -> None:
    response = await register("kit", RESERVED_NAME)

    problem = assert_problem(response, 422)
    assert problem["errors"][0]["detail"] == "This name is reserved"


@pytest.mark.parametrize("column", COLUMNS)
async def test_a_valid_user_is_taken(column: str) -> None:
    response = await register(column, {"name": "ada", "password": "correct horse"})

    assert response.json() == "ada"


# Logging and timing middleware


def access_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["logger"] == "fastapi_kit.access"]


async def test_the_middleware_of_the_tutorial_logs_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "app")

    await get(load("tutorial", "middleware").app, "/items/1?token=hunter2")

    assert "token=hunter2" in caplog.text
    assert "Completed: 200" in caplog.text


async def test_the_access_line_redacts_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    await get(load("kit", "middleware").app, "/items/1?token=hunter2")

    [line] = access_lines(capsys)
    assert line["http.route"] == "/items/{item_id}"
    assert "hunter2" not in str(line)


async def test_the_middleware_of_the_tutorial_is_silent_on_a_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "app")

    response = await get(load("tutorial", "middleware").app, "/items/2")

    assert response.status_code == 500
    assert "Completed" not in caplog.text
    assert "x-process-time" not in response.headers


async def test_the_access_line_and_the_timing_are_there_on_a_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    response = await get(load("kit", "middleware").app, "/items/2")

    [line] = access_lines(capsys)
    assert line["http.response.status_code"] == 500
    assert line["error.type"] == "KeyError"
    assert line["request_id"] == response.headers["x-request-id"]
    assert float(response.headers["x-process-time"]) >= 0


# Settings


def test_settings_of_the_tutorial_stop_on_a_foreign_variable_and_show_it() -> None:
    Path(".env").write_text("OTHER_TOOLS_PASSWORD=hunter2\n")

    with pytest.raises(ValidationError, match="hunter2"):
        load("tutorial", "settings")


def test_app_settings_leave_a_foreign_variable_alone() -> None:
    Path(".env").write_text("OTHER_TOOLS_PASSWORD=hunter2\nMAIL_FROM=ada@example.com\n")

    assert load("kit", "settings").settings.mail_from == "ada@example.com"


@pytest.mark.parametrize(("column", "shown"), [("tutorial", True), ("kit", False)])
def test_only_settings_of_the_tutorial_show_their_secret(
    column: str, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "a secret that is longer than 32 bytes")

    settings = load(column, "settings").settings

    assert ("a secret that" in f"{settings!r} {settings}") is shown


def test_settings_of_the_tutorial_let_the_default_secret_into_production(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")

    assert load("tutorial", "settings").settings.secret_key == "CHANGE_ME"


@pytest.mark.parametrize("secret", [None, "CHANGE_ME"])
def test_app_settings_refuse_a_well_known_secret_in_production(
    secret: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    if secret is not None:
        monkeypatch.setenv("SECRET_KEY", secret)

    with pytest.raises(ConfigurationError, match="SECRET_KEY is a secret that everyone knows"):
        load("kit", "settings")


# /health

DOWN = ["sqlite:///no/such/folder/app.db", "postgresql+psycopg://nobody@127.0.0.1:1/nothing"]


@pytest.mark.parametrize("url", DOWN, ids=["sqlite", "postgres"])
async def test_health_of_the_tutorial_is_ok_while_the_database_is_down(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    response = await get(load("tutorial", "health").app, "/health")

    assert response.json() == {"status": "OK"}


@pytest.mark.parametrize("url", DOWN, ids=["sqlite", "postgres"])
async def test_health_fails_while_the_database_is_down(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    response = await get(load("kit", "health").app, "/health")

    assert response.status_code == 503
    assert response.json()["checks"]["database"]["status"] == "failed"


async def test_health_is_ok_while_the_database_answers(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)

    response = await get(load("kit", "health").app, "/health")

    assert response.status_code == 200
