"""URLs that may hold a password, and hide it."""

import re
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_MASK: Final = "***"
# Greedy up to the last "@": a password may hold an unescaped "@", "/" or ":".
_PASSWORD: Final = re.compile(r"(?<=://)([^:@/?#]*):.*@", re.DOTALL)
_SECRET_PARAMETER: Final = re.compile(r"(?i)([?&][^=&]*(?:pass|secret|token)[^=&]*=)[^&#]*")

# Drivers that cannot run in the event loop, and what takes their place.
_ASYNC_DRIVERS: Final = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg2": "postgresql+psycopg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+pysqlite": "sqlite+aiosqlite",
}


class SecretUrl(str):
    """A URL that can be used like any string, but shows its password to no reader.

    Drivers read the whole value from it.
    ``repr()``, ``str()``, formatting, ``model_dump()`` and ``model_dump_json()`` give the URL with
    ``***`` for the password and for query parameters named like one.
    Other string operations (``+``, ``replace``, ``json.dumps``) see the whole value.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:  # noqa: D102
        # str.__new__ would go through __str__, and so keep only the masked text.
        return super().__new__(cls, str.__str__(value))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls._parse,
            core_schema.str_schema(strip_whitespace=True),
            serialization=core_schema.plain_serializer_function_ser_schema(
                str, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def _parse(cls, value: str) -> Self:
        scheme, separator, _ = value.partition("://")
        if not scheme or not separator:
            raise ValueError("Input should be a URL such as scheme://user:password@host/name")
        return cls(value)

    def get_secret_value(self) -> str:
        """The whole URL with its password, as a plain string."""
        return str.__str__(self)

    def __str__(self) -> str:
        shown = _PASSWORD.sub(rf"\1:{_MASK}@", self.get_secret_value())
        return _SECRET_PARAMETER.sub(rf"\1{_MASK}", shown)

    def __repr__(self) -> str:
        return f"SecretUrl({str(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def with_async_driver(url: SecretUrl) -> SecretUrl:
    """The same database, reached by a driver that works in the event loop."""
    scheme, separator, rest = url.get_secret_value().partition("://")
    return SecretUrl(_ASYNC_DRIVERS.get(scheme.lower(), scheme) + separator + rest)


DatabaseUrl = Annotated[SecretUrl, AfterValidator(with_async_driver)]
"""A `SecretUrl` of a database: ``postgres://`` and ``postgresql://`` become
``postgresql+psycopg://``, ``sqlite://`` becomes ``sqlite+aiosqlite://``."""
