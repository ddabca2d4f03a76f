"""What a caller must be or hold: pure values, combined with ``&`` and ``|``."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta

from fastapi_kit.auth.caller import Caller
from fastapi_kit.auth.names import as_names, require_scope_tokens
from fastapi_kit.errors import ConfigurationError

__all__ = ["Requirement", "fresh", "permissions", "roles", "scopes"]


class Requirement(ABC):
    """A condition on the caller, made by `roles`, `scopes`, `permissions` or `fresh`.

    ``a & b`` needs both, ``a | b`` either. Requirements are values: equal when they say the same.
    There is no negation, since what a caller lacks proves nothing.
    """

    @abstractmethod
    def is_met_by(self, caller: Caller[object]) -> bool:
        """Whether the caller is let through."""

    def required_scopes(self) -> frozenset[str]:
        """The scopes without which no caller is let through; these are shown in OpenAPI."""
        return frozenset()

    def mentioned_scopes(self) -> frozenset[str]:
        """Every scope that the requirement asks about."""
        return frozenset()

    def max_ages(self) -> frozenset[timedelta]:
        """Every age of a log-in that the requirement asks about."""
        return frozenset()

    def __and__(self, other: object) -> "Requirement":
        if not isinstance(other, Requirement):
            return NotImplemented
        return _AllOf(_parts(_AllOf, self) | _parts(_AllOf, other))

    def __or__(self, other: object) -> "Requirement":
        if not isinstance(other, Requirement):
            return NotImplemented
        return _AnyOf(_parts(_AnyOf, self) | _parts(_AnyOf, other))

    def __bool__(self) -> bool:
        # `roles("a") and roles("b")` would quietly be `roles("b")`, and `not roles("a")` False.
        raise TypeError("combine requirements with & and |; 'and', 'or' and 'not' would drop them")


@dataclass(frozen=True, slots=True)
class _Roles(Requirement):
    names: frozenset[str]

    def is_met_by(self, caller: Caller[object]) -> bool:
        return self.names <= caller.principal.roles

    def __str__(self) -> str:
        return _listed("role", self.names)


@dataclass(frozen=True, slots=True)
class _Permissions(Requirement):
    names: frozenset[str]

    def is_met_by(self, caller: Caller[object]) -> bool:
        return self.names <= caller.principal.permissions

    def __str__(self) -> str:
        return _listed("permission", self.names)


@dataclass(frozen=True, slots=True)
class _Scopes(Requirement):
    names: frozenset[str]

    def is_met_by(self, caller: Caller[object]) -> bool:
        return self.names <= caller.scopes

    def required_scopes(self) -> frozenset[str]:
        return self.names

    def mentioned_scopes(self) -> frozenset[str]:
        return self.names

    def __str__(self) -> str:
        return _listed("scope", self.names)


@dataclass(frozen=True, slots=True)
class _Fresh(Requirement):
    max_age: timedelta

    def is_met_by(self, caller: Caller[object]) -> bool:
        age = caller.claims.login_age
        return age is not None and age <= self.max_age

    def max_ages(self) -> frozenset[timedelta]:
        return frozenset({self.max_age})

    def __str__(self) -> str:
        return f"a log-in within the last {_spoken(self.max_age)}"


@dataclass(frozen=True, slots=True)
class _AllOf(Requirement):
    parts: frozenset[Requirement]

    def is_met_by(self, caller: Caller[object]) -> bool:
        return all(part.is_met_by(caller) for part in self.parts)

    def required_scopes(self) -> frozenset[str]:
        return frozenset[str]().union(*(part.required_scopes() for part in self.parts))

    def mentioned_scopes(self) -> frozenset[str]:
        return frozenset[str]().union(*(part.mentioned_scopes() for part in self.parts))

    def max_ages(self) -> frozenset[timedelta]:
        return frozenset[timedelta]().union(*(part.max_ages() for part in self.parts))

    def __str__(self) -> str:
        return " and ".join(
            sorted(f"({part})" if isinstance(part, _AnyOf) else str(part) for part in self.parts)
        )


@dataclass(frozen=True, slots=True)
class _AnyOf(Requirement):
    parts: frozenset[Requirement]

    def is_met_by(self, caller: Caller[object]) -> bool:
        return any(part.is_met_by(caller) for part in self.parts)

    def required_scopes(self) -> frozenset[str]:
        first, *others = (part.required_scopes() for part in self.parts)
        return first.intersection(*others)

    def mentioned_scopes(self) -> frozenset[str]:
        return frozenset[str]().union(*(part.mentioned_scopes() for part in self.parts))

    def max_ages(self) -> frozenset[timedelta]:
        return frozenset[timedelta]().union(*(part.max_ages() for part in self.parts))

    def __str__(self) -> str:
        return " or ".join(sorted(f"({p})" if " and " in str(p) else str(p) for p in self.parts))


def _parts(kind: type[_AllOf] | type[_AnyOf], of: Requirement) -> frozenset[Requirement]:
    return of.parts if isinstance(of, kind) else frozenset({of})


def _listed(noun: str, names: frozenset[str]) -> str:
    plural = "s" if len(names) > 1 else ""
    return f"{noun}{plural} {' and '.join(sorted(names))}"


def _spoken(age: timedelta) -> str:
    for unit, size in _UNITS:
        count, rest = divmod(age, size)
        if count and not rest:
            return unit if count == 1 else f"{count} {unit}s"
    return f"{age.total_seconds():g} seconds"


_UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)


def _defined(function: str, names: tuple[str, ...]) -> frozenset[str]:
    if not names:
        raise ConfigurationError(f"{function}() names nothing and would let anyone in; name one")
    try:
        return as_names(function, names)
    except TypeError as error:
        raise ConfigurationError(f'{error}; write {function}("one", "two")') from None


def roles(*names: str) -> Requirement:
    """A requirement that the user has all of these roles; for any of them, join with ``|``.

    Raises:
        ConfigurationError: There is no name, or one is not a non-empty string.
    """
    return _Roles(_defined("roles", names))


def scopes(*names: str) -> Requirement:
    """A requirement that the token carries all of these scopes (RFC 6749 section 3.3).

    Raises:
        ConfigurationError: There is no name, or one cannot be a scope.
    """
    found = _defined("scopes", names)
    require_scope_tokens(found)
    return _Scopes(found)


def permissions(*names: str) -> Requirement:
    """A requirement that the user has all of these permissions.

    Raises:
        ConfigurationError: There is no name, or one is not a non-empty string.
    """
    return _Permissions(_defined("permissions", names))


def fresh(max_age: timedelta) -> Requirement:
    """A requirement that the user has logged in lately, however often tokens were refreshed since.

    Where it alone is missing, the answer is 401 with ``insufficient_user_authentication`` and
    ``max_age`` (RFC 9470 section 3), so that the client lets the user log in again.

    Args:
        max_age: How long the log-in may be ago, by the token's ``auth_time``. A token without one
            is never fresh.

    Raises:
        ConfigurationError: It is no positive ``timedelta``.
    """
    if not isinstance(max_age, timedelta) or max_age <= timedelta(0):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"fresh({max_age!r}) is no positive timedelta; write fresh(timedelta(minutes=5))"
        )
    return _Fresh(max_age)
