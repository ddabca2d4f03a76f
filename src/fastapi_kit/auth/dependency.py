"""What goes into a route by ``Depends(...)``, and by nothing else."""

from typing import NoReturn

from fastapi_kit.errors import ConfigurationError

__all__ = ["Dependency", "Unfit"]


class Dependency:
    """Refuses to be a mere annotation.

    To FastAPI ``Annotated[User, auth.current_user]``, without ``Depends``, is a `User` in the
    request's body: whoever calls would be whoever they say they are. Pydantic asks an annotation
    for its schema while the route is defined, and so it comes out there.
    """

    unfit_for_production: str | None = None
    """What is wrong with it there and what to do, for `setup_app`, which refuses to start with it."""

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> NoReturn:
        raise ConfigurationError(
            f"{source!r} would be read from the request, and the caller not be asked who they are; "
            "write Annotated[User, Depends(auth.current_user)]"
        )


class Unfit(Dependency):
    """Does nothing for a request: tells `setup_app` what is wrong in production."""

    def __init__(self, reason: str) -> None:
        self.unfit_for_production: str | None = reason

    async def __call__(self) -> None:
        """Nothing."""
