import enum
import sys
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from fastapi_kit.__main__ import main
from fastapi_kit.settings import AppSettings, SecretUrl, env_example, settings_table


class Color(enum.Enum):
    RED = "red"


class Settings(AppSettings, env_prefix="SHOP_"):
    mail_from: str = Field(description="Sender of mails.\nOne | address.")
    color: Color = Color.RED
    limits: dict[str, int] = Field({"a": 1})
    ports: tuple[int, ...] = (1, 2)
    anything: Any = 1
    names: list[str] = Field(default_factory=lambda: ["a, b"])
    key: SecretStr = SecretStr("hunter2")
    mirrors: list[SecretUrl] = Field([SecretUrl("https://me:hunter2@mirror")])


def uncommented(example: str) -> str:
    lines = [line.removeprefix("# ") for line in example.split("\n")]
    return "\n".join(line for line in lines if line.startswith("SHOP_"))


def test_the_example_names_every_variable_once() -> None:
    names = [line.split("=")[0] for line in uncommented(env_example(Settings)).splitlines()]

    assert len(names) == len(set(names)) == len(Settings.model_fields)


def test_required_variables_stand_open() -> None:
    example = env_example(Settings)

    open_lines = [line for line in example.splitlines() if line and not line.startswith("#")]
    assert open_lines == ["SHOP_MAIL_FROM="]
    assert "# Sender of mails.\n# One | address.\n# Type: str\n# Required.\n" in example


def test_the_example_taken_as_it_is_gives_the_defaults(
    work_directory: Path,
) -> None:
    class Plain(AppSettings, env_prefix="SHOP_"):
        names: list[str] = Field(["a, b"])

    example = uncommented(env_example(Plain))
    lines = [line for line in example.splitlines() if "SECRET" not in line and "FORMAT" not in line]
    (work_directory / ".env").write_text("\n".join(lines))

    assert Plain() == Plain.for_tests(environment="development")


@given(st.text(st.characters(exclude_characters="$\x00", exclude_categories=["Cs"])))
def test_any_text_survives_dotenv(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    class Texts(BaseSettings, env_prefix="SHOP_"):
        note: str = text

    path = tmp_path_factory.mktemp("example") / ".env"
    path.write_text(uncommented(env_example(Texts)), encoding="utf-8", newline="")

    assert dotenv_values(path, encoding="utf-8") == {"SHOP_NOTE": text}


def test_the_table_tells_types_defaults_and_descriptions() -> None:
    rows = settings_table(Settings).splitlines()

    assert rows[0] == "| Variable | Type | Default | What it does |"
    assert "| `SHOP_MAIL_FROM` | str | required | Sender of mails. One \\| address. |" in rows
    assert "| `SHOP_COLOR` | red | `red` |  |" in rows
    assert '| `SHOP_LIMITS` | dict of str to int | `{"a": 1}` |  |' in rows
    assert "| `SHOP_PORTS` | tuple of int | `[1, 2]` |  |" in rows
    assert "| `SHOP_ANYTHING` | Any | `1` |  |" in rows
    assert '| `SHOP_NAMES` | list of str | `["a, b"]` |  |' in rows
    assert any(row.startswith("| `SHOP_WORKERS` or `WEB_CONCURRENCY` | int | `1`") for row in rows)
    assert any(row.startswith("| `SHOP_REDIS_URL` | URL or blank |  |") for row in rows)


@pytest.mark.parametrize("write", [env_example, settings_table])
def test_no_secret_is_written_down(write: Any) -> None:
    text = write(Settings)

    assert "hunter2" not in text
    assert "development-only" not in text


class TestCommand:
    def test_it_prints_an_example(self, capsys: pytest.CaptureFixture[str]) -> None:
        main(["settings", "fastapi_kit.settings:AppSettings"])

        assert capsys.readouterr().out == env_example(AppSettings)

    def test_it_prints_a_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        main(["settings", "--table", "fastapi_kit.settings:AppSettings"])

        assert capsys.readouterr().out == settings_table(AppSettings)

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("shop.settings", "names no class; write module:Class"),
            (":Settings", "names no class; write module:Class"),
            ("no_such_module:Settings", "cannot be imported: No module named 'no_such_module'"),
            ("fastapi_kit.settings:Nothing", "'Nothing' in 'fastapi_kit.settings' is no settings"),
            ("fastapi_kit.settings:env_example", "is no settings class"),
            ("fastapi_kit.settings:SecretUrl", "is no settings class"),
        ],
    )
    def test_a_wrong_path_is_one_clear_line(
        self, path: str, reason: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as stopped:
            main(["settings", path])

        assert stopped.value.code == 2
        assert reason in capsys.readouterr().err

    def test_a_module_that_cannot_load_its_settings_is_one_clear_line(
        self,
        work_directory: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (work_directory / "broken_shop.py").write_text(
            "from fastapi_kit.settings import AppSettings\nAppSettings.for_tests(typo=1)\n"
        )
        monkeypatch.syspath_prepend(work_directory)

        with pytest.raises(SystemExit):
            main(["settings", "broken_shop:Settings"])

        assert "typo: Extra inputs are not permitted" in capsys.readouterr().err

    def test_it_runs_as_a_module(self) -> None:
        import runpy

        with pytest.MonkeyPatch.context() as patch:
            patch.delitem(sys.modules, "fastapi_kit.__main__")
            patch.setattr(sys, "argv", ["fastapi_kit", "settings", "nothing"])
            with pytest.raises(SystemExit):
                runpy.run_module("fastapi_kit.__main__", run_name="__main__")


def test_a_field_read_by_alias_alone_is_shown_by_its_alias() -> None:
    class Aliased(BaseSettings):
        port: int = Field(80, validation_alias="HTTP_PORT")

    assert "| `HTTP_PORT` | int | `80` |  |" in settings_table(Aliased)
