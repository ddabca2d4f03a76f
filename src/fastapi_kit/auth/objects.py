"""Guards for one object: may this user do this to that?"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from inspect import Parameter, Signature, isawaitable
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends

from fastapi_kit.auth.dependency import Dependency
from fastapi_kit.auth.exceptions import NotAllowedError
from fastapi_kit.auth.guards import CurrentUser
from fastapi_kit.errors import AppError, ConfigurationError

__all__ = ["ObjectGuard"]

UserT = TypeVar("UserT")
ObjectT = TypeVar("ObjectT")


@dataclass(frozen=True, eq=False)
class ObjectGuard(Dependency, Generic[UserT, ObjectT]):
    """The object if the user may have it, or 401, 403, 404; `Auth.require_object` makes it."""

    current_user: CurrentUser[UserT]
    load: Callable[..., Any]
    predicate: Callable[[UserT, ObjectT], bool | Awaitable[bool]]
    hidden: bool
    missing: type[AppError]
    description: str = field(init=False)

    def __post_init__(self) -> None:
        for name, value in (("load", self.load), ("predicate", self.predicate)):
            if not callable(value):
                raise ConfigurationError(f"{name}={value!r} of require_object is not callable")
        object.__setattr__(self, "description", _sentence(self.predicate))
        # In this order: who is not logged in does not learn whether there is such an object.
        user = Annotated[Any, Depends(self.current_user)]
        found = Annotated[Any, Depends(self.load)]
        named = [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation)
            for name, annotation in (("user", user), ("found", found))
        ]
        object.__setattr__(self, "__signature__", Signature(named))

    @property
    def raises(self) -> tuple[type[AppError], ...]:
        """The errors that the caller may get."""
        refused = () if self.hidden else (NotAllowedError,)
        return (*self.current_user.raises, *refused, self.missing)

    async def __call__(self, *, user: UserT, found: ObjectT | None) -> ObjectT:
        """The object; raises what is in `raises`, and what the predicate raises."""
        if found is None:
            raise self.missing
        allowed: object = self.predicate(user, found)
        if isawaitable(allowed):
            allowed = await allowed
        if allowed is True:
            return found
        if allowed is not False:
            # A set in common, a coroutine's truth: what is merely truthy must not open doors.
            raise TypeError(f"{_name(self.predicate)} gave a {type(allowed).__name__}, not a bool")
        raise self.missing if self.hidden else NotAllowedError(self.description)


def _sentence(predicate: Callable[..., Any]) -> str:
    lines = (getattr(predicate, "__doc__", None) or "").strip().splitlines()
    return lines[0].strip() if lines else f"Requires that {_name(predicate)} allows it."


def _name(predicate: Callable[..., Any]) -> str:
    return getattr(predicate, "__name__", type(predicate).__name__)
