"""`ETag` and conditional requests on versioned rows (RFC 9110 sections 8.8.3 and 13)."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from fastapi import Depends, Header
from fastapi.exceptions import HTTPException
from pydantic import WithJsonSchema
from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState, Mapper

from fastapi_kit.errors import AppError, BadRequestError, ConfigurationError

# RFC 9110 section 8.8.3; between tags, empty elements of a list are allowed (section 5.6.1.2).
# The quantifiers are possessive, so that no header takes more than one pass.
_ELEMENT = re.compile(r'[ \t]*+((?:W/)?+"[\x21\x23-\x7e\x80-\xff]*+")?+[ \t]*+(?:,|\Z)')

# A header may come in several lines, and means what it means in one (RFC 9110 section 5.3); so it is
# documented as the text that clients send.
_Lines = Annotated[list[str] | None, WithJsonSchema({"type": "string"})]


class InvalidETagError(BadRequestError):
    """400: `If-Match` or `If-None-Match` is no list of entity tags."""

    type = "/problems/invalid-etag"
    title = "Invalid entity tag"


class PreconditionFailedError(AppError):
    """412: the state that the client wants to change is not the present one; read it again."""

    status_code = 412
    type = "/problems/precondition-failed"
    title = "Precondition failed"
    default_detail = "This has another version by now; read it again and repeat the change"


class PreconditionRequiredError(AppError):
    """428: the change needs the `ETag` of the state that it is made on (RFC 6585 section 3)."""

    status_code = 428
    type = "/problems/precondition-required"
    title = "Precondition required"
    default_detail = "Send the ETag of what you have read as If-Match"


def etag(item: object) -> str:
    """The strong entity tag of a versioned row, for ``response.headers["ETag"]``.

    It is the version alone, for an entity tag tells the states of one URL apart and no more.

    Args:
        item: Of a model with `VersionMixin`, or a ``version_id_col`` of its own; flushed.

    Raises:
        ConfigurationError: Its model has no version.
    """
    state: InstanceState[Any] | Mapper[Any] | None = inspect(item, raiseerr=False)
    mapper = state.mapper if isinstance(state, InstanceState) else None
    if mapper is None or mapper.version_id_col is None:
        raise ConfigurationError(
            f"{type(item).__name__} has no version to make an ETag of; give the model VersionMixin"
        )
    version = getattr(item, mapper.get_property_by_column(mapper.version_id_col).key)
    return f'"{quote(str(version), safe="")}"'


@dataclass(frozen=True, slots=True)
class IfMatch:
    """The states that the client is ready to change, given by `IfMatchDep`.

    Args:
        tags: The entity tags, with their quotes; ``("*",)`` means any; `None`: there is no header.
    """

    tags: tuple[str, ...] | None

    def check(self, item: object) -> None:
        """Return when the row is in a state that the client named, or it named none.

        Compared strongly (RFC 9110 section 13.1.1): a weak tag never matches.
        Another request may still change the row before the flush; the version refuses that then.

        Raises:
            PreconditionFailedError: It is in another state.
        """
        if self.tags in (None, ("*",)):
            return
        if etag(item) not in self.tags:
            raise PreconditionFailedError


@dataclass(frozen=True, slots=True)
class IfNoneMatch:
    """The states that the client has, given by `IfNoneMatchDep`.

    Args:
        tags: The entity tags, with their quotes; ``("*",)`` means any; `None`: there is no header.
    """

    tags: tuple[str, ...] | None

    def check(self, item: object) -> None:
        """Return when the row is in a state that the client does not have.

        Compared weakly (RFC 9110 section 13.1.2). For GET only.

        Raises:
            HTTPException: 304, with the `ETag`: the client's copy is still good.
        """
        current = etag(item)
        known = [tag.removeprefix("W/") for tag in self.tags or ()]
        if current in known or known == ["*"]:
            raise HTTPException(304, headers={"ETag": current})


@dataclass(frozen=True, slots=True)
class _ReadIfMatch:
    required: bool

    @property
    def raises(self) -> tuple[type[AppError], ...]:
        """What `fastapi_kit.errors` documents on each route that depends on it."""
        optional = (InvalidETagError, PreconditionFailedError)
        return (*optional, PreconditionRequiredError) if self.required else optional

    async def __call__(
        self,
        if_match: Annotated[
            _Lines,
            Header(description="The ETag of what is to be changed; several, or `*` for any."),
        ] = None,
    ) -> IfMatch:
        if if_match is None and self.required:
            raise PreconditionRequiredError
        return IfMatch(_tags("If-Match", if_match))


@dataclass(frozen=True, slots=True)
class _ReadIfNoneMatch:
    raises: ClassVar[tuple[type[AppError], ...]] = (InvalidETagError,)

    async def __call__(
        self,
        if_none_match: Annotated[
            _Lines, Header(description="The ETag of the copy that the client has.")
        ] = None,
    ) -> IfNoneMatch:
        return IfNoneMatch(_tags("If-None-Match", if_none_match))


def _tags(name: str, lines: list[str] | None) -> tuple[str, ...] | None:
    if lines is None:
        return None
    text = ",".join(lines)
    if text.strip(" \t") == "*":
        return ("*",)
    tags: list[str] = []
    position = 0
    while position < len(text):
        element = _ELEMENT.match(text, position)
        if element is None:
            break
        position = element.end()
        tags += filter(None, element.groups())
    if position < len(text) or not tags:
        raise InvalidETagError(f'{name} is no list of entity tags; send it as "7", or *')
    return tuple(tags)


IfMatchDep = Annotated[IfMatch, Depends(_ReadIfMatch(required=False))]
"""The request's `IfMatch`; without the header every state will do."""

RequiredIfMatchDep = Annotated[IfMatch, Depends(_ReadIfMatch(required=True))]
"""The request's `IfMatch`; without the header the answer is 428."""

IfNoneMatchDep = Annotated[IfNoneMatch, Depends(_ReadIfNoneMatch())]
"""The request's `IfNoneMatch`, for GET."""
