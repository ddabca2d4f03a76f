"""What makes a value unfit for production, and what to do about it."""

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from fastapi_kit.settings.urls import SecretUrl

DEVELOPMENT_SECRET: Final = "development-only-secret-that-everyone-knows"  # noqa: S105
MIN_SECRET_BYTES: Final = 32  # RFC 7518 section 3.2: as long as the output of HS256
_MIN_DISTINCT_CHARACTERS: Final = 8

_WELL_KNOWN: Final = re.compile(
    r"development.only|change.?(me|this)|your.?secret|placeholder"
    # The key that FastAPI's security tutorial prints.
    r"|09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    re.IGNORECASE,
)
NEW_SECRET: Final = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"  # noqa: S105


def weakness_of_secret(secret: SecretStr) -> str | None:
    """Why this secret can be guessed, without quoting it; ``None`` means that it is strong."""
    value = secret.get_secret_value()
    remedy = f"set it to what this prints: {NEW_SECRET}"
    if _WELL_KNOWN.search(value):
        return f"is a secret that everyone knows; {remedy}"
    if (length := len(value.encode("utf-8", "surrogatepass"))) < MIN_SECRET_BYTES:
        return f"is {length} bytes long, and must be {MIN_SECRET_BYTES} or more; {remedy}"
    if len(set(value)) < _MIN_DISTINCT_CHARACTERS:
        return f"repeats fewer than {_MIN_DISTINCT_CHARACTERS} different characters; {remedy}"
    return None


def _holds_secret(value: Any) -> bool:
    if isinstance(value, SecretUrl):
        return str(value) != value.get_secret_value()
    return isinstance(value, SecretStr) and bool(value.get_secret_value())


def secrets_in_code(fields: Mapping[str, FieldInfo], values: Mapping[str, Any]) -> dict[str, str]:
    """The fields whose secret is still the default that stands in the source code."""
    return {
        name: "is still the default from the source code; set it to a secret of its own"
        for name, field in fields.items()
        if _holds_secret(values.get(name)) and values[name] == field.default
    }
