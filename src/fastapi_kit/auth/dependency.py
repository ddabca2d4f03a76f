"""What goes into a route by ``Depends(...)``, and by nothing else."""

from typing import NoReturn

from fastapi_kit.errors import ConfigurationError

__all__ = ["Dependency"]


class Dependency:
    """Refuses to be a mere annotation.

    To FastAPI ``Annotated[User, auth.current_user]``, without ``Depends``, is a `User` in the
    request's body: whoever calls would be whoever they say they are. Pydantic asks an annotation
    for its schema while the route is defined, and so it comes out there.
    """

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> NoReturn:
        raise ConfigurationError(
            f"{source!r} would be read from the request, and the caller not be asked who they are; "
            "write Annotated[User, Depends(auth.current_user)]"
        )
