"""The dependencies that routes use: the user, perhaps the user, the user if allowed.

They are values: one `Auth` makes one of a kind, so ``app.dependency_overrides`` finds them.
Each is a security scheme to FastAPI, which saves a dependency beneath it; only a guard with scopes
has one, since FastAPI takes an operation's scopes from there. Who builds the OpenAPI schema reads
`raises` and `description` from each.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from inspect import Parameter, Signature
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from fastapi import Security
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from fastapi_kit.auth.bearer import BearerScheme
from fastapi_kit.auth.caller import Caller
from fastapi_kit.auth.dependency import Dependency
from fastapi_kit.auth.exceptions import NotAllowedError, NotAuthenticatedError, StaleLoginError
from fastapi_kit.auth.requirements import Requirement
from fastapi_kit.errors import AppError

__all__ = ["CurrentUser", "Guard", "OptionalUser"]

UserT = TypeVar("UserT")


@dataclass(frozen=True, eq=False)
class CurrentUser(Dependency, SecurityBase, Generic[UserT]):
    """The user who is calling, or 401."""

    scheme: BearerScheme[UserT]
    description: ClassVar[str] = "Requires an access token."

    def __post_init__(self) -> None:
        _show_as(self, self.scheme)

    @property
    def raises(self) -> tuple[type[AppError], ...]:
        """The errors that the caller may get."""
        return (NotAuthenticatedError, *self.scheme.raises)

    async def __call__(self, connection: HTTPConnection) -> UserT:
        """The user; raises what is in `raises`."""
        return _known(await self.scheme(connection)).user


@dataclass(frozen=True, eq=False)
class OptionalUser(Dependency, SecurityBase, Generic[UserT]):
    """The user who is calling, or ``None`` without a token; 401 for a token that does not hold."""

    scheme: BearerScheme[UserT]
    description: ClassVar[str] = "Accepts an access token."

    def __post_init__(self) -> None:
        _show_as(self, self.scheme)

    @property
    def raises(self) -> tuple[type[AppError], ...]:
        """The errors that the caller may get."""
        return self.scheme.raises

    async def __call__(self, connection: HTTPConnection) -> UserT | None:
        """The user or ``None``; raises what is in `raises`."""
        caller = await self.scheme(connection)
        return None if caller is None else caller.user


@dataclass(frozen=True, eq=False)
class Guard(Dependency, SecurityBase, Generic[UserT]):
    """The user who is calling if they meet the requirement, or 401, or 403."""

    scheme: BearerScheme[UserT]
    requirement: Requirement
    description: str = field(init=False)

    def __post_init__(self) -> None:
        _show_as(self, self.scheme)
        object.__setattr__(self, "description", f"Requires {self.requirement}.")
        if scopes := self.requirement.required_scopes():
            object.__setattr__(self, "__signature__", _signature(self.scheme, scopes))

    @property
    def raises(self) -> tuple[type[AppError], ...]:
        """The errors that the caller may get."""
        stale = (StaleLoginError,) if self.requirement.max_ages() else ()
        return (NotAuthenticatedError, *self.scheme.raises, *stale, NotAllowedError)

    async def __call__(self, connection: HTTPConnection, **_scopes: object) -> UserT:
        """The user; raises what is in `raises`."""
        caller = _known(await self.scheme(connection))
        if self.requirement.is_met_by(caller) is not True:
            raise self._refusal_of(caller)
        return caller.user

    def _refusal_of(self, caller: Caller[UserT]) -> AppError:
        ages = self.requirement.max_ages()
        if ages and self.requirement.is_met_by(caller.just_logged_in()) is True:
            seconds = int(min(ages).total_seconds())
            return StaleLoginError(self.description, max_age_seconds=seconds)
        return NotAllowedError(self.description, scopes=self.requirement.required_scopes())


def _show_as(dependency: SecurityBase, scheme: BearerScheme[Any]) -> None:
    object.__setattr__(dependency, "model", scheme.model)
    object.__setattr__(dependency, "scheme_name", scheme.scheme_name)
    object.__setattr__(dependency, "unfit_for_production", scheme.unfit_for_production)
    object.__setattr__(dependency, "__signature__", Signature([_CONNECTION]))


def _signature(scheme: BearerScheme[Any], scopes: Iterable[str]) -> Signature:
    # FastAPI reads this in place of `__call__`'s: each instance names its own scopes.
    named = Annotated[Any, Security(scheme, scopes=sorted(scopes))]
    return Signature([_CONNECTION, Parameter("scopes", Parameter.KEYWORD_ONLY, annotation=named)])


_CONNECTION = Parameter("connection", Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)


def _known(caller: Caller[UserT] | None) -> Caller[UserT]:
    if caller is None:
        raise NotAuthenticatedError
    return caller
