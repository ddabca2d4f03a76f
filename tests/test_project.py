"""The public surface is what it says, imports are cheap, and the tree holds what it should."""

import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import fastapi_kit

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BLOCKS = sorted(
    f"fastapi_kit.{module.name}"
    for module in pkgutil.iter_modules(fastapi_kit.__path__)
    if not module.name.startswith("_")
)
HEAVY = {
    "alembic",
    "bcrypt",
    "httpx",
    "jose",
    "orjson",
    "passlib",
    "psycopg",
    "redis",
    "sqlalchemy",
}
OPTIONAL = ("alembic", "bcrypt", "httpx", "httpx2", "orjson", "psycopg", "pytest", "redis")
REGISTRY_OR_MACHINE = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|crates\.io|deb\.debian\.org"
    r"|(?<![\w.])/(?:home|root|work|Users)/\w"
)


def run_python(code: str, *args: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def own_public_names(module: ModuleType) -> set[str]:
    """Public classes and functions in a module's namespace that the module or its parts define."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and f"{getattr(value, '__module__', '')}.".startswith(f"{module.__name__}.")
    }


@pytest.mark.parametrize("name", ["fastapi_kit", *BLOCKS])
def test_exports_are_sorted_and_exist(name: str) -> None:
    module = import_module(name)

    assert list(module.__all__) == sorted(set(module.__all__))
    assert [export for export in module.__all__ if not hasattr(module, export)] == []


@pytest.mark.parametrize("name", BLOCKS)
def test_every_public_name_is_exported(name: str) -> None:
    """A name that is not meant for users starts with an underscore."""
    module = import_module(name)

    assert own_public_names(module) - set(module.__all__) == set()


def test_root_names_are_listed_and_an_unknown_one_is_no_attribute() -> None:
    assert set(fastapi_kit.__all__) <= set(dir(fastapi_kit))
    assert not hasattr(fastapi_kit, "no_such_name")


def test_no_submodule_shares_the_name_of_a_root_export() -> None:
    """Else `from fastapi_kit import name` would give the module or the object, by chance."""
    modules = {name.removeprefix("fastapi_kit.") for name in BLOCKS}

    assert modules & set(fastapi_kit.__all__) == set()


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """What a fresh interpreter has loaded after each of these, which it does one after the other."""
    code = """
import json, sys
def load(name, *modules):
    for module in modules:
        __import__(module)
    loaded[name] = [*sys.modules]
loaded = {}
load("package", "fastapi_kit")
load("logs", "fastapi_kit.logs", "fastapi_kit.middleware")
load("settings", "fastapi_kit.settings")
import fastapi_kit.pagination as p
p.paginate_sequence([], p.PaginationParams())
load("pages in memory")
p.paginate
load("pages of a database")
load("auth", "fastapi_kit.auth")
import logging
loaded["handlers of the root logger"] = [repr(handler) for handler in logging.root.handlers]
print(json.dumps(loaded))
"""
    return {name: set(found) for name, found in json.loads(run_python(code)).items()}


def test_importing_the_package_pulls_in_nothing_heavy(imported: dict[str, set[str]]) -> None:
    assert HEAVY & imported["package"] == set()


def test_sqlalchemy_is_loaded_when_it_is_needed(imported: dict[str, set[str]]) -> None:
    assert {name for name, modules in imported.items() if "sqlalchemy" in modules} == {
        "pages of a database",
        "auth",  # because it comes after them
    }


def test_logging_is_not_configured_by_importing(imported: dict[str, set[str]]) -> None:
    assert imported["handlers of the root logger"] == set()


def test_the_python_only_backends_of_jose_are_never_loaded(imported: dict[str, set[str]]) -> None:
    """python-jose's fallbacks have open advisories (SECURITY.md); they must stay unused."""
    assert "jose" in imported["auth"]
    assert {"ecdsa", "rsa", "pyasn1"} & imported["auth"] == set()


def test_blocks_import_without_extras_and_testing_names_the_one_it_needs() -> None:
    """In an interpreter where no optional package can be imported."""
    code = f"""
import json, sys
sys.modules.update(dict.fromkeys({OPTIONAL}))
refused = {{}}
for name in {BLOCKS}:
    try:
        __import__(name)
    except ImportError as error:
        refused[name] = str(error)
print(json.dumps(refused))
"""

    refused = json.loads(run_python(code))

    assert set(refused) <= {"fastapi_kit.testing"}
    assert all("fastapi-kit[testing]" in message for message in refused.values())


def test_the_changelog_starts_with_this_version() -> None:
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.M)

    assert versions[0] == PROJECT["version"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout")
def test_no_tracked_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    files = [ROOT / name for name in listed.split("\0") if name]

    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in files
        if path.is_file()
        for match in REGISTRY_OR_MACHINE.finditer(path.read_text(errors="replace"))
    ]

    assert found == []
