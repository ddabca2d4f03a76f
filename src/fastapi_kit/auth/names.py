"""The names that roles, permissions and scopes may have, and how a set of them is read."""

import re
from collections.abc import Iterable

from fastapi_kit.errors import ConfigurationError

__all__ = ["as_names", "is_scope_token", "require_scope_tokens"]

# RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def as_names(what: str, names: Iterable[str]) -> frozenset[str]:
    """A frozen set of plain strings, members of a string enum included.

    Raises:
        TypeError: One string came in place of a collection, so that its letters would become the
            names; or a name is not a non-empty string.
    """
    if isinstance(names, str | bytes):
        raise TypeError(f"{what}={names!r} is one string; give a collection, such as {{{names!r}}}")
    found = frozenset(names)
    for name in found:
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{what} holds {name!r}; each name is a non-empty string")
    return found


def is_scope_token(name: str) -> bool:
    """Whether a scope of this name can be asked for (RFC 6749 section 3.3)."""
    return _SCOPE_TOKEN.fullmatch(name) is not None


def require_scope_tokens(names: Iterable[str]) -> None:
    """Refuse, while the app is built, a scope that no client could ask for.

    Raises:
        ConfigurationError: A name is outside of RFC 6749 section 3.3.
    """
    for name in names:
        if not is_scope_token(name):
            raise ConfigurationError(
                f"scope {name!r} cannot be asked for: RFC 6749 section 3.3 allows visible ASCII "
                "characters except the double quote and the backslash; rename it"
            )
