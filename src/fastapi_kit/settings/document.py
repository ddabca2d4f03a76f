"""A settings class written down for people: ``.env.example``, and a table for the docs."""

import json
import re
from collections.abc import Mapping
from enum import Enum, EnumType
from types import NoneType
from typing import Any, Final, Literal, cast, get_args, get_origin

from pydantic import ByteSize, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from fastapi_kit.settings.safety import NEW_SECRET
from fastapi_kit.settings.urls import SecretUrl
from fastapi_kit.settings.variables import members, variable_names

_PLAIN: Final = re.compile(r"[\w@%+=:,./*-]*")
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})
_NAMES: Final[Mapping[Any, str]] = {ByteSize: "bytes", SecretStr: "secret", SecretUrl: "URL"}


def _type_name(annotation: Any) -> str:
    names = [_member_name(member) for member in members(annotation)]
    return " or ".join(dict.fromkeys(names))


def _member_name(member: Any) -> str:
    origin = get_origin(member)
    if member in (None, NoneType):
        return "blank"
    if origin is Literal:
        return " or ".join(map(str, get_args(member)))
    if origin is not None:
        separator = " to " if origin is dict else " or "
        parts = separator.join(_type_name(part) for part in get_args(member) if part is not ...)
        return f"{origin.__name__} of {parts}"
    if isinstance(member, EnumType):
        return " or ".join(str(choice.value) for choice in cast("type[Enum]", member))
    return _NAMES.get(member) or str(getattr(member, "__name__", member))


def _text(value: Any, annotation: Any) -> str:
    """The value as it would stand in ``.env``, without secrets."""
    if value is None or isinstance(value, SecretStr):
        return ""
    plain = TypeAdapter[Any](annotation).dump_python(value, mode="json", warnings=False)
    if isinstance(plain, str):
        return plain
    return "" if plain == [] else json.dumps(plain)


def _default(field: FieldInfo) -> str:
    if field.default_factory_takes_validated_data:
        return ""  # it depends on other values; the description tells
    return _text(field.get_default(call_default_factory=True), field.annotation)


def _quoted(text: str) -> str:
    """The text as a dotenv value on one line."""
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.translate(_ESCAPES) + '"'


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def env_example(settings_class: type[BaseSettings]) -> str:
    """A commented ``.env.example``: each variable, what it does, and its default.

    Required variables stand open, all others are commented out. Secrets are never printed.
    """
    title = f"{settings_class.__module__}.{settings_class.__qualname__}"
    blocks = [f"# Settings of {title}. Copy to .env and change."]
    for name, field in settings_class.model_fields.items():
        variable = variable_names(settings_class, name)[0]
        lines = [f"# {line}" for line in (field.description or "").splitlines()]
        lines.append(f"# Type: {_type_name(field.annotation)}")
        if SecretStr in members(field.annotation):
            lines.append(f"# New one: {NEW_SECRET}")
        if field.is_required():
            lines += ["# Required.", f"{variable}="]
        else:
            lines.append(f"# {variable}={_quoted(_default(field))}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def settings_table(settings_class: type[BaseSettings]) -> str:
    """A Markdown table of the variables, for the app's docs. Secrets are never printed."""
    rows = ["| Variable | Type | Default | What it does |", "| --- | --- | --- | --- |"]
    for name, field in settings_class.model_fields.items():
        variables = " or ".join(f"`{name}`" for name in variable_names(settings_class, name))
        default = "required" if field.is_required() else _code(_default(field))
        cells = [_type_name(field.annotation), default, field.description or ""]
        rows.append(f"| {' | '.join([variables, *map(_cell, cells)])} |")
    return "\n".join(rows) + "\n"
