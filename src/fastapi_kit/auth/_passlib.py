"""The one module that imports passlib (or libpass, its fork of the same import name)."""

import logging
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, Protocol, cast

from passlib.context import CryptContext  # pyright: ignore[reportMissingTypeStubs]

from fastapi_kit.errors import ConfigurationError

__all__ = ["HashContext", "argon2_context"]

logger: logging.Logger = logging.getLogger("fastapi_kit.auth")

_SELF_TEST_PASSWORD = "self-test"  # noqa: S105  # hashed below, at the least cost there is
_SELF_TESTS = {
    "argon2": "$argon2id$v=19$m=8,t=1,p=1$hvAe45xTipGSMkYIYQxBiA"
    "$QZGy/z+8bNqr+SFUIrzmpp39DVyHi06INOxgRFv8dQ0",
    "pbkdf2_sha256": "$pbkdf2-sha256$1$M6a0lnLufQ.BUErJ2ZvTWg"
    "$cx5VYSKo48BP8.Gam/H7vfy0ZYRAKK6Va4HbKCAZhmg",
    "pbkdf2_sha512": "$pbkdf2-sha512$1$K6X03vt/793bO8eYs9Z6zw"
    "$kFpx4LY7YRteezLHCIY7m0NyWy7svpGQkT7gYq.gNy9wDGh/POW07gR8hPMQoCY1m.Lzomk3E9qVS.IKLEvAvQ",
    "scrypt": "$scrypt$ln=1,r=1,p=1$C8F4z7l3jhFiLIXQ2pvTug"
    "$y2LUrFsSyBW2lhuH1NLzHBjHRGJc8ffIZk9M1gJ7kDI",
    "bcrypt": "$2b$04$zhYtAjhEjASeLoCeG8FuKucWfDq6/VdKKPqvl7aeKGkDwPmOAKo3e",
}


class HashContext(Protocol):
    """What of passlib's untyped ``CryptContext`` is used; all of it may raise."""

    def hash(self, secret: str) -> str: ...
    def verify(self, secret: str, hash: str) -> bool: ...  # passlib's name
    def needs_update(self, hash: str) -> bool: ...


def argon2_context(*, time_cost: int, memory_cost_kib: int, parallelism: int) -> HashContext:
    """A context that hashes with argon2id and verifies every scheme that works here."""
    return _context(
        schemes=list(_installed_schemes()),
        deprecated="auto",
        argon2__type="ID",
        argon2__rounds=time_cost,
        argon2__memory_cost=memory_cost_kib,
        argon2__parallelism=parallelism,
    )


def _context(schemes: list[str], **options: Any) -> HashContext:
    return cast("HashContext", CryptContext(schemes=schemes, **options))


@cache
def _installed_schemes() -> tuple[str, ...]:
    _warn_of_two_passlibs()
    return _working(_SELF_TESTS)


def _working(self_tests: Mapping[str, str]) -> tuple[str, ...]:
    """Of these schemes, each with a hash that it must know, those that do."""
    with _bcrypt_version_unread():
        working = tuple(scheme for scheme, known in self_tests.items() if _works(scheme, known))
    if "argon2" not in working:
        raise ConfigurationError(
            "argon2 does not work here, so no password can be hashed; reinstall argon2-cffi"
        )
    return working


def _works(scheme: str, known: str) -> bool:
    """Whether the scheme tells a right password from a wrong one; bcrypt 5 breaks passlib 1.7.4."""
    try:
        context = _context([scheme])
        return context.verify(_SELF_TEST_PASSWORD, known) and not context.verify("other", known)
    except Exception as error:  # noqa: BLE001  # a backend that is missing or broken, in many kinds
        logger.debug("Password scheme %s is not usable: %s", scheme, type(error).__name__)
        return False


@contextmanager
def _bcrypt_version_unread() -> Generator[None]:
    # passlib 1.7.4 looks for a version where bcrypt 4.1 has none, logs a traceback, and goes on.
    handlers = logging.getLogger("passlib.handlers.bcrypt")
    handlers.addFilter(_is_other_message)
    try:
        yield
    finally:
        handlers.removeFilter(_is_other_message)


def _is_other_message(record: logging.LogRecord) -> bool:
    return "error reading bcrypt version" not in record.getMessage()


def _warn_of_two_passlibs() -> None:
    if _is_installed("passlib") and _is_installed("libpass"):
        warnings.warn(
            "passlib and libpass are both installed and overwrite each other's files; "
            "uninstall both, then install one",
            RuntimeWarning,
            stacklevel=2,
        )


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
