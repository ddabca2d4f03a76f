import enum
import subprocess
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, AliasPath, BaseModel, Field, SecretStr, model_validator

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.settings import AppSettings, SettingsWarning

SECRET = "kP3vX9-qLw7ZrT2mYb8NcQ5sHd4JfGa6"
SAFE = {"environment": "production", "secret_key": SECRET}
TUTORIAL_SECRET = "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"


class Settings(AppSettings, env_prefix="SHOP_"):
    mail_from: str = "shop@example.com"


class Pool(BaseModel):
    hosts: list[str] = []
    size: int = 5


class Color(enum.Enum):
    RED = "red"


class Rich(AppSettings, env_prefix="RICH_", env_nested_delimiter="__"):
    ports: list[int] = Field([])
    tags: list[str] | None = None
    limits: dict[str, int] = Field({})
    pools: dict[str, Pool] = Field({})
    pool: Pool = Pool()
    colors: tuple[Color, ...] = ()
    note: str | None = "none yet"


def failure(settings_class: type[AppSettings], **values: Any) -> str:
    with pytest.raises(ConfigurationError) as raised:
        settings_class.for_tests(**values)
    return str(raised.value)


def test_all_defaults_need_nothing_and_warn_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Settings()

    assert found.environment == "development"
    assert found.mail_from == "shop@example.com"
    assert found.log_format == "console"
    assert not found.is_production


def test_environment_wins_over_dotenv_and_that_over_secrets(
    work_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithFiles(AppSettings, env_prefix="SHOP_", secrets_dir=str(work_directory / "secrets")):
        pass

    (work_directory / "secrets").mkdir()
    for name in ("project_name", "version", "root_path"):
        (work_directory / "secrets" / f"shop_{name}").write_text("/secret\n")
    (work_directory / ".env").write_text("SHOP_PROJECT_NAME=/dotenv\nSHOP_VERSION=/dotenv\n")
    monkeypatch.setenv("SHOP_PROJECT_NAME", "/environment")

    found = WithFiles()

    assert found.project_name == "/environment"
    assert found.version == "/dotenv"
    assert found.root_path == "/secret"


def test_lists_in_secret_files_are_split(work_directory: Path) -> None:
    class WithFiles(AppSettings, env_prefix="SHOP_", secrets_dir=work_directory):
        pass

    (work_directory / "shop_allowed_hosts").write_text("a.example, b.example")

    assert WithFiles().allowed_hosts == ["a.example", "b.example"]


def test_absent_secrets_directories_are_left_out(work_directory: Path) -> None:
    (work_directory / "there").mkdir()
    (work_directory / "there" / "shop_version").write_text("7")

    class WithFiles(AppSettings, env_prefix="SHOP_", secrets_dir=("absent", "there")):
        pass

    assert WithFiles().version == "7"


def test_a_file_as_secrets_directory_is_refused(work_directory: Path) -> None:
    class WithFile(AppSettings, secrets_dir=work_directory / "file"):
        pass

    (work_directory / "file").touch()

    with pytest.raises(ConfigurationError, match="must reference a directory, not a file"):
        WithFile()


def test_dotenv_with_a_byte_order_mark_keeps_its_first_line(work_directory: Path) -> None:
    (work_directory / ".env").write_text("SHOP_VERSION=2\n", encoding="utf-8-sig")

    assert Settings().version == "2"


def test_dotenv_that_is_not_utf8_is_refused_without_quoting_it(work_directory: Path) -> None:
    (work_directory / ".env").write_bytes(b"SHOP_SECRET_KEY=hunter2\xff\n")

    with pytest.raises(ConfigurationError, match=r"\.env is not UTF-8") as raised:
        Settings()

    assert raised.value.__context__ is None


def test_a_dotenv_pipe_is_read_once(work_directory: Path) -> None:
    """Secret managers offer .env as a pipe; a second reading would wait for ever."""
    code = """
import os, threading
from pathlib import Path
from fastapi_kit.settings import AppSettings
class Settings(AppSettings, env_prefix="SHOP_"): pass
os.mkfifo(".env")
threading.Thread(target=Path(".env").write_text, args=["SHOP_VERSION=piped"], daemon=True).start()
print(Settings().version)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout == "piped\n"


def test_foreign_keys_in_dotenv_do_no_harm(work_directory: Path) -> None:
    (work_directory / ".env").write_text("POSTGRES_PASSWORD=hunter2\nEMPTY\nSHOP_VERSION=2\n")

    assert Settings().version == "2"


@pytest.mark.parametrize(
    "text", ["https://a.example,https://b.example", '["https://a.example", "https://b.example"]']
)
def test_lists_are_csv_or_json(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_CORS_ORIGINS", text)

    assert Settings().cors_origins == ["https://a.example", "https://b.example"]


@pytest.mark.parametrize("text", ["", "  ", ",", "[]"])
def test_blank_lists_are_empty(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_CORS_ORIGINS", text)

    assert Settings().cors_origins == []


@pytest.mark.parametrize("text", ['["https://a.example"', "[" * 100_000], ids=["open", "deep"])
def test_broken_json_lists_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_CORS_ORIGINS", text)

    with pytest.raises(ConfigurationError, match="SHOP_CORS_ORIGINS: Input should be a valid list"):
        Settings()


def test_structured_fields_of_a_subclass_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RICH_PORTS", "80, 443")
    monkeypatch.setenv("RICH_TAGS", "")
    monkeypatch.setenv("RICH_LIMITS", '{"items": 3}')
    monkeypatch.setenv("RICH_POOL__HOSTS", "a,b")
    monkeypatch.setenv("RICH_POOL__SIZE", "9")
    monkeypatch.setenv("RICH_POOLS__FAST__SIZE", "2")
    monkeypatch.setenv("RICH_COLORS", "red")
    monkeypatch.setenv("RICH_NOTE", "")

    found = Rich()

    assert found.ports == [80, 443]
    assert found.tags is None
    assert found.limits == {"items": 3}
    assert found.pool == Pool(hosts=["a", "b"], size=9)
    assert found.pools == {"fast": Pool(size=2)}
    assert found.colors == (Color.RED,)
    assert found.note is None


def test_broken_json_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RICH_LIMITS", "{hunter2")

    with pytest.raises(ConfigurationError, match="RICH_LIMITS: Input should be a valid dict"):
        Rich()


def test_blank_paths_switch_the_docs_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DOCS_URL", "")
    monkeypatch.setenv("SHOP_REDIS_URL", " ")

    assert Settings().docs_url is None
    assert Settings().redis_url is None


def test_workers_are_read_as_the_server_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")

    with pytest.warns(SettingsWarning, match="SHOP_WORKERS or WEB_CONCURRENCY is 4, but SQLite"):
        found = Settings()

    assert found.workers == 4


def test_workers_may_stand_under_both_names(
    work_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work_directory / ".env").write_text("WEB_CONCURRENCY=3\n")
    monkeypatch.setenv("SHOP_WORKERS", "1")

    assert Settings().workers == 1
    assert Settings(workers=1).workers == 1


def test_aliases_of_a_subclass_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Aliased(AppSettings, env_prefix="AL_", env_prefix_target="all", case_sensitive=True):
        first: str = Field("", validation_alias=AliasChoices("ONE", "UNO"))
        path: int = Field(0, validation_alias=AliasPath("PATHS", 1))

    monkeypatch.setenv("AL_UNO", "uno")
    monkeypatch.setenv("AL_PATHS", "[1, 2]")

    assert Aliased().first == "uno"
    assert Aliased().path == 2


@pytest.mark.parametrize("spelling", ["production", " Production "])
def test_words_are_read_in_any_case(spelling: str) -> None:
    found = Settings.for_tests(
        environment=spelling, secret_key=SECRET, log_level="debug", log_format="JSON"
    )

    assert found.is_production
    assert (found.log_level, found.log_format) == ("DEBUG", "json")


@pytest.mark.parametrize(
    ("given", "expected"),
    [("https://a.example/", "https://a.example"), ("HTTP://A.example:80", "http://a.example:80")],
)
def test_origins_are_written_as_browsers_send_them(given: str, expected: str) -> None:
    assert Settings.for_tests(cors_origins=[given]).cors_origins == [expected]


@pytest.mark.parametrize("origin", ["a.example", "https://a.example/path", "https://", "null"])
def test_origins_that_never_match_are_refused(origin: str) -> None:
    assert "SHOP_CORS_ORIGINS.0: Input should be an origin" in failure(
        Settings, cors_origins=[origin]
    )


@pytest.mark.parametrize("host", ["https://a.example", "a.example:80", "a/b", ""])
def test_hosts_that_never_match_are_refused(host: str) -> None:
    assert "SHOP_ALLOWED_HOSTS.0: Input should be a host" in failure(Settings, allowed_hosts=[host])


@pytest.mark.parametrize("host", ["*", "*.example.com", "localhost"])
def test_hosts_may_have_wildcards(host: str) -> None:
    assert Settings.for_tests(allowed_hosts=[host]).allowed_hosts == [host]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("project_name", ""),
        ("version", " "),
        ("docs_url", "docs"),
        ("root_path", "api"),
        ("root_path", "/api/"),
        ("max_body_size", "-1"),
        ("max_body_size", "many"),
        ("workers", 0),
        ("log_level", "LOUD"),
        ("log_format", "xml"),
        ("environment", "prod"),
        ("database_url", "hunter2"),
        ("database_url", ""),
    ],
)
def test_wrong_values_are_refused(field: str, value: object) -> None:
    assert f"- SHOP_{field.upper()}" in failure(Settings, **{field: value})


def test_sizes_may_have_a_unit() -> None:
    assert Settings.for_tests(max_body_size="10MiB").max_body_size == 10 * 1024 * 1024


def test_all_wrong_values_are_named_at_once() -> None:
    class Required(AppSettings, env_prefix="SHOP_"):
        mail_from: str

    message = failure(Required, environment="moon", workers="many", typo=1)

    assert message.splitlines() == [
        "Required has wrong or missing values:",
        "- SHOP_ENVIRONMENT: Input should be 'development', 'test', 'staging' or 'production'",
        (
            "- SHOP_WORKERS or WEB_CONCURRENCY: "
            "Input should be a valid integer, unable to parse string as an integer"
        ),
        "- SHOP_MAIL_FROM: Field required",
        "- typo: Extra inputs are not permitted",
    ]


def test_validators_of_a_subclass_are_reported() -> None:
    class Validated(AppSettings):
        @model_validator(mode="after")
        def refuse(self) -> "Validated":
            raise ValueError("never right")

    assert "- Validated: never right" in failure(Validated)


@given(st.text(min_size=12))
@settings(max_examples=50)
def test_no_error_quotes_a_value(value: str) -> None:
    """Whatever stands in a variable, neither the message nor its traceback shows it."""
    marked = f"hunter2{value}"
    fields = ("environment", "workers", "cors_origins", "max_body_size", "docs_url", "debug")
    try:
        Settings.for_tests(**dict.fromkeys(fields, marked))
    except ConfigurationError as error:
        raised = error

    shown = "".join(traceback.format_exception(raised)) + repr(raised)
    assert "hunter2" not in shown
    assert raised.__context__ is None
    assert raised.__cause__ is None


def test_secrets_are_in_no_text() -> None:
    found = Settings.for_tests(
        secret_key=SECRET,
        database_url="postgres://me:hunter2@db/shop",
        redis_url="redis://:hunter2@cache",
    )

    texts = [repr(found), str(found), found.model_dump_json(), repr(found.model_dump())]

    assert all("hunter2" not in text and SECRET not in text for text in texts)


def test_for_tests_reads_neither_environment_nor_dotenv(
    work_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work_directory / ".env").write_text("SHOP_VERSION=dotenv\nSHOP_TYPO=1\n")
    monkeypatch.setenv("SHOP_PROJECT_NAME", "environment")

    found = Settings.for_tests(mail_from="test@example.com")

    assert found.environment == "test"
    assert (found.version, found.project_name) == ("0.1.0", "FastAPI app")
    assert found.mail_from == "test@example.com"


def test_load_reads_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loaded(AppSettings, env_prefix="SHOP_"):
        pass

    monkeypatch.setenv("SHOP_VERSION", "1")
    first = Loaded.load()
    monkeypatch.setenv("SHOP_VERSION", "2")

    assert Loaded.load() is first
    Loaded.settings_clear_cache()
    assert Loaded.load().version == "2"


async def test_load_is_a_dependency_that_tests_override() -> None:
    app = FastAPI()

    @app.get("/")
    async def version(found: Annotated[Settings, Depends(Settings.load)]) -> str:
        return found.version

    app.dependency_overrides[Settings.load] = lambda: Settings.for_tests(version="test")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/")

    assert response.json() == "test"


def test_settings_are_immutable() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.for_tests().debug = True  # type: ignore[misc]


class TestProductionGuard:
    def test_safe_settings_pass(self) -> None:
        assert Settings.for_tests(**SAFE).is_production

    def test_all_unsafe_values_are_named_in_one_error(self) -> None:
        message = failure(
            Settings,
            environment="production",
            debug=True,
            cors_origins="*",
            cors_allow_credentials=True,
            workers=4,
        )

        lines = message.splitlines()
        assert lines[0] == "unsafe settings in production:"
        assert [line.split()[1] for line in lines[1:]] == [
            "SHOP_SECRET_KEY",
            "SHOP_DEBUG",
            "SHOP_CORS_ORIGINS",
            "SHOP_WORKERS",
        ]
        assert "secrets.token_urlsafe(48)" in lines[1]
        assert "set it to false" in lines[2]
        assert "list the origins" in lines[3]
        assert "set it to 1, or SHOP_DATABASE_URL to PostgreSQL" in lines[4]

    @pytest.mark.parametrize(
        ("secret", "reason"),
        [
            ("", "is 0 bytes long"),
            ("x9-qLw7ZrT2mYb8NcQ5sHd4JfGa6abc", "is 31 bytes long"),
            ("secret" * 8, "repeats fewer than 8"),
            ("please-change-me-" + SECRET, "is a secret that everyone knows"),
            (TUTORIAL_SECRET, "is a secret that everyone knows"),
        ],
    )
    def test_guessable_secrets_are_refused_without_quoting_them(
        self, secret: str, reason: str
    ) -> None:
        message = failure(Settings, environment="production", secret_key=secret)

        assert f"SHOP_SECRET_KEY {reason}" in message
        assert not secret or secret not in message

    def test_bytes_count_and_not_characters(self) -> None:
        found = Settings.for_tests(environment="production", secret_key="äöüßéèêëáàâîïôûç")

        assert found.is_production

    def test_staging_is_as_strict(self) -> None:
        assert "unsafe settings in staging" in failure(Settings, environment="staging")

    def test_any_origin_without_credentials_is_allowed(self) -> None:
        assert Settings.for_tests(**SAFE, cors_origins="*").cors_origins == ["*"]

    def test_several_workers_on_postgresql_are_allowed(self) -> None:
        assert Settings.for_tests(**SAFE, workers=4, database_url="postgres://db/shop").workers == 4

    def test_secrets_that_stand_in_the_code_are_refused(self) -> None:
        class Paid(AppSettings, env_prefix="SHOP_"):
            payment_key: SecretStr = SecretStr("sk_test_123")
            webhook_key: SecretStr = SecretStr("")
            mail_key: SecretStr | None = None

        message = failure(Paid, **SAFE)

        assert message.count("\n") == 1
        assert "SHOP_PAYMENT_KEY is still the default from the source code" in message

    def test_a_subclass_adds_its_own(self) -> None:
        class Strict(Settings):
            def unsafe_values(self) -> dict[str, str]:
                return {**super().unsafe_values(), "mail_from": "is a demo address; set your own"}

        assert "- SHOP_MAIL_FROM is a demo address" in failure(Strict, **SAFE)

    def test_development_warns_of_what_was_set_on_purpose(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHOP_DEBUG", "true")
        monkeypatch.setenv("SHOP_SECRET_KEY", "hunter2")

        with pytest.warns(SettingsWarning) as caught:
            Settings()

        texts = sorted(str(warning.message) for warning in caught)
        assert [text.split(":")[1].split()[0] for text in texts] == [
            "SHOP_DEBUG",
            "SHOP_SECRET_KEY",
        ]
        assert all(warning.filename == __file__ for warning in caught)
        assert "hunter2" not in str(texts)

    def test_tests_are_not_warned(self) -> None:
        assert Settings.for_tests(debug=True, secret_key="short").debug


class TestMisspeltKeys:
    def test_a_key_in_the_environment_warns_with_a_suggestion(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHOP_DATABSE_URL", "postgres://me:hunter2@db/shop")

        with pytest.warns(SettingsWarning) as caught:
            Settings()

        assert [str(warning.message) for warning in caught] == [
            "SHOP_DATABSE_URL is no setting of Settings: did you mean SHOP_DATABASE_URL?"
        ]
        assert caught[0].filename == __file__

    def test_a_key_in_dotenv_warns(self, work_directory: Path) -> None:
        (work_directory / ".env").write_text("shop_debgu=1\n")

        with pytest.warns(SettingsWarning, match="did you mean SHOP_DEBUG"):
            Settings()

    def test_a_key_like_no_other_warns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOP_QQQ", "1")

        with pytest.warns(SettingsWarning, match="SHOP_QQQ .* it is not read; remove it"):
            Settings()

    def test_parts_of_nested_settings_are_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RICH_POOL__SIZE", "9")
        monkeypatch.setenv("RICH_POLO__SIZE", "9")

        with pytest.warns(SettingsWarning) as caught:
            Rich()

        assert [str(warning.message).split()[0] for warning in caught] == ["RICH_POLO__SIZE"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("SHOP_SERVICE_HOST", "10.0.0.1"),
            ("SHOP_SERVICE_PORT_HTTP", "80"),
            ("SHOP_DB_PORT_5432_TCP_ADDR", "10.0.0.1"),
            ("SHOP_PORT", "tcp://10.0.0.1:80"),
        ],
    )
    def test_variables_that_kubernetes_sets_are_ignored(
        self, name: str, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(name, value)

        assert Settings().project_name == "FastAPI app"

    def test_without_a_prefix_nothing_is_foreign(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABSE_URL", "x")

        assert AppSettings().project_name == "FastAPI app"


def test_the_app_options_are_arguments_of_fastapi() -> None:
    settings = AppSettings.for_tests(project_name="Shop", version="2", docs_url="/d")

    app = FastAPI(**settings.app_options)

    assert (app.title, app.version, app.docs_url) == ("Shop", "2", "/d")
    assert app.max_body_size == settings.max_body_size
    assert app.openapi_url == "/openapi.json"
