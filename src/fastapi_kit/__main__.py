"""``python -m fastapi_kit``: what the kit does on the command line."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from pydantic_settings import BaseSettings

from fastapi_kit._misuse import ConfigurationError
from fastapi_kit.settings import env_example, settings_table


def _settings_class(path: str) -> type[BaseSettings]:
    module, separator, name = path.partition(":")
    if not module or not separator or not name:
        raise ConfigurationError(f"{path!r} names no class; write module:Class")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (ImportError, ConfigurationError) as error:
        raise ConfigurationError(f"{module!r} cannot be imported: {error}") from error
    if not isinstance(found, type) or not issubclass(found, BaseSettings):
        raise ConfigurationError(f"{name!r} in {module!r} is no settings class")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fastapi_kit")
    commands = parser.add_subparsers(required=True, metavar="command")
    settings = commands.add_parser(
        "settings", help="print an .env.example for a settings class, or a table for the docs"
    )
    settings.add_argument("settings_class", metavar="module:Class")
    settings.add_argument(
        "--table", action="store_true", help="print a Markdown table instead of an .env.example"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command.

    Args:
        arguments: What stands after the program's name; ``None`` means this process' own.

    Raises:
        SystemExit: With status 2 and one line on standard error, when the command makes no sense.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        settings_class = _settings_class(options.settings_class)
    except ConfigurationError as error:
        parser.error(str(error))
    sys.stdout.write((settings_table if options.table else env_example)(settings_class))


if __name__ == "__main__":
    main()
