"""Filters of a listing: query parameters that say which column they compare, and how."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import eq
from operator import ge as at_least
from operator import le as at_most
from typing import Any, ClassVar, Final

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from sqlalchemy import ColumnElement, String, type_coerce
from sqlalchemy.types import TypeEngine

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.pagination.comparing import (
    bind,
    check,
    collects,
    holds_text,
    kinds_of,
    misfit,
    python_type,
)

MAX_VALUES: Final = 100
MAX_TEXT: Final = 200  # characters; SQLite refuses patterns over 50,000 bytes


class Filters(BaseModel):
    """The filters of a listing, for ``Annotated[ItemFilters, Query()]``.

    Each field says what it compares. What a request leaves out does not filter.

    Raises:
        ConfigurationError: When a subclass is made: a field compares nothing while ``where()`` is
            not overridden, its type does not fit its column or how it is compared, or the model
            forbids or collects other query parameters, the paginator's among them.
    """

    _filters: ClassVar[Mapping[str, tuple["ColumnFilter", ...]]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **_kwargs: Any) -> None:
        extra = cls.model_config.get("extra", "ignore")
        if extra != "ignore":
            raise ConfigurationError(
                f"{cls.__name__} has extra={extra!r}, which would take the paginator's own query "
                "parameters for filters; leave it out"
            )
        cls._filters = {
            name: tuple(part for part in info.metadata if isinstance(part, ColumnFilter))
            for name, info in cls.model_fields.items()
        }
        for name, filters in cls._filters.items():
            _check_field(cls, name, filters)

    def where(self) -> list[ColumnElement[bool]]:
        """Give the conditions, for ``select(...).where(*filters.where())``."""
        return [
            one.condition(value)
            for name, filters in self._filters.items()
            if (value := getattr(self, name)) is not None
            for one in filters
        ]


def _check_field(model: type[Filters], name: str, filters: Iterable["ColumnFilter"]) -> None:
    if not filters and model.where is Filters.where:
        raise ConfigurationError(
            f"{model.__name__}.{name} filters nothing; annotate it with equals(), one_of(), "
            "contains(), ge() or le(), or override where()"
        )
    for one in filters:
        if fault := one.fault(model.model_fields[name].annotation):
            raise ConfigurationError(f"{model.__name__}.{name} {fault}")


@dataclass(frozen=True, eq=False)
class ColumnFilter:
    """What a field of `Filters` compares, and how; made by `equals` and its like.

    As a part of the field's annotation it refuses values that a database would choke on, so that
    they are a 422 which names the parameter.

    Args:
        column: What is compared.
        compare: Gives the condition, from the column and a bound value.
        limits: What the parameter's schema says beside its type.
    """

    column: Any
    compare: Callable[[Any, Any], Any]
    limits: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def type(self) -> TypeEngine[Any]:
        """What the column holds."""
        type_: TypeEngine[Any] = self.column.type
        return type_

    def fault(self, annotation: Any) -> str | None:
        """Give why a field with this annotation cannot be compared so, `None` if it can."""
        # What a type of the app's own holds may be a collection to Python.
        if collects(annotation) and python_type(self.type) is not object:
            return "allows several values; use one_of()"
        return misfit(annotation, self.type)

    def condition(self, value: Any) -> ColumnElement[bool]:
        """Give the condition for a value."""
        condition: ColumnElement[bool] = self.compare(self.column, bind(self.type, value))
        return condition

    def check(self, value: Any) -> None:
        """Refuse a value that cannot be compared with the column."""
        check(self.type, value)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), **self.limits}

    def _checked(self, value: Any) -> Any:
        if value is not None:
            self.check(value)
        return value


class _OneOf(ColumnFilter):
    def fault(self, annotation: Any) -> str | None:
        kinds = list(kinds_of(annotation))
        if kinds and not collects(annotation):
            return (
                "allows one value, of which one_of() would take the parts; annotate it with a set"
            )
        return next(filter(None, (misfit(kind, self.type) for kind in kinds)), None)

    def condition(self, value: Any) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = self.compare(
            self.column, [bind(self.type, one) for one in value]
        )
        return condition

    def check(self, value: Any) -> None:
        if len(value) > self.limits["maxItems"]:
            raise PydanticCustomError(
                "too_long", "Input should have at most {maxItems} values", {**self.limits}
            )
        for one in value:
            check(self.type, one)


class _Contains(ColumnFilter):
    def fault(self, annotation: Any) -> str | None:
        if not holds_text(self.type):
            return f"looks for text in {self.type!r}; cast() the column to String"
        return super().fault(annotation)

    def condition(self, value: Any) -> ColumnElement[bool]:
        return type_coerce(self.column, String()).icontains(value, autoescape=True)

    def check(self, value: Any) -> None:
        check(String(), value)
        if len(value) > self.limits["maxLength"]:
            raise PydanticCustomError(
                "string_too_long",
                "String should have at most {maxLength} characters",
                {**self.limits},
            )


def equals(column: Any) -> ColumnFilter:
    """Keep rows whose column has this value."""
    return ColumnFilter(column, eq)


def ge(column: Any) -> ColumnFilter:
    """Keep rows whose column is at least this value."""
    return ColumnFilter(column, at_least)


def le(column: Any) -> ColumnFilter:
    """Keep rows whose column is at most this value."""
    return ColumnFilter(column, at_most)


def one_of(column: Any, *, max_values: int = MAX_VALUES) -> ColumnFilter:
    """Keep rows whose column has one of these values, for a field such as ``set[str] | None``.

    Args:
        column: What is compared.
        max_values: How many values a request may give.
    """
    return _OneOf(column, lambda element, values: element.in_(values), {"maxItems": max_values})


def contains(column: Any, *, max_length: int = MAX_TEXT) -> ColumnFilter:
    """Keep rows whose column contains this text, be it in capitals or not.

    ``%`` and ``_`` stand for themselves. SQLite knows only the capitals of ASCII.

    Args:
        column: Text.
        max_length: Characters that a request may give.
    """
    return _Contains(column, eq, {"maxLength": max_length})
