"""Passwords in schemas: what a new one must be before it is hashed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SecretStr
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from fastapi_kit.auth.passwords import MAX_PASSWORD_BYTES
from fastapi_kit.errors import ConfigurationError

__all__ = ["Password", "PasswordRules"]

# NIST SP 800-63B-4 section 3.1.1.2: 15 where the password is all that is asked for, and room for 64
# or more; no rules on which characters.
NIST_MIN_LENGTH = 15
MAX_LENGTH = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordRules:
    """What a new password must be, for ``Annotated[SecretStr, PasswordRules(...)]``.

    Breaking a rule is an ordinary validation error (422) that says which rule. Do not use it where
    people log in: rules change, and an old password still has to get in to be changed.

    Args:
        min_length: Characters, Unicode code points. NIST SP 800-63B-4 wants 15 where the password
            is the only factor, and 8 beside a second one.
        max_length: Characters; NIST wants 64 or more.
        max_bytes: UTF-8 bytes, at most 4096. Give 72 if bcrypt must be able to read it whole.
        refuse: Told a password that is within the lengths, says why it is refused, or ``None``:
            the hook for breached and common ones. It must not wait for a network; an app that asks
            a service does so in its route and raises `UnusablePasswordError`. Its answer is shown
            to the client and must not repeat the password.

    Raises:
        ConfigurationError: A length is out of range.
    """

    min_length: int = NIST_MIN_LENGTH
    max_length: int = MAX_LENGTH
    max_bytes: int = MAX_PASSWORD_BYTES
    refuse: Callable[[str], str | None] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.min_length <= self.max_length:
            raise ConfigurationError(
                f"min_length={self.min_length} is not from 1 to max_length={self.max_length}"
            )
        if not self.min_length <= self.max_bytes <= MAX_PASSWORD_BYTES:
            raise ConfigurationError(
                f"max_bytes={self.max_bytes} is not from min_length={self.min_length} to "
                f"{MAX_PASSWORD_BYTES}, the most that is hashed"
            )

    def fault(self, password: str) -> str | None:
        """Why this password breaks the rules; ``None`` when it keeps them."""
        if len(password) < self.min_length:
            return f"The password must have {self.min_length} characters or more"
        if len(password) > self.max_length:
            return f"The password must have {self.max_length} characters or fewer"
        try:
            size = len(password.encode())
        except UnicodeEncodeError:
            return "The password is not valid Unicode"
        if size > self.max_bytes:
            return f"The password must have {self.max_bytes} bytes or fewer in UTF-8"
        return None if self.refuse is None else self.refuse(password)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            **handler(schema),
            "format": "password",
            "minLength": self.min_length,
            "maxLength": self.max_length,
        }

    def _checked(self, value: str | SecretStr) -> str | SecretStr:
        password = value.get_secret_value() if isinstance(value, SecretStr) else value
        if fault := self.fault(password):
            # Not a ValueError: its text would travel as an object that JSON cannot hold.
            raise PydanticCustomError("password_rule", "{fault}", {"fault": fault})
        return value


Password = Annotated[SecretStr, PasswordRules()]
"""A new password in a schema: 15 to 128 characters, never shown by ``repr`` or in a dump.

Hash it with ``await hasher.hash(data.password.get_secret_value())``.
"""
