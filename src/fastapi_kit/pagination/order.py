"""A total order of rows, as terms."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement

Nulls: TypeAlias = Literal["native", "first", "last"]


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """One term of an order.

    Args:
        element: What is compared.
        descending: Whether larger values come first.
        nullable: Whether NULL can occur.
        nulls: Where NULLs stand.
    """

    element: ColumnElement[Any]
    descending: bool
    nullable: bool
    nulls: Nulls


@dataclass(frozen=True, eq=False, slots=True)
class Order:
    """A total order of a model's rows: what was asked for, then what is unique.

    Args:
        name: Tells this order from all others, also after the whitelist was changed.
        terms: The last one is unique or the last part of what is; none is redundant.
        unique: The numbers of the terms that are unique together.
    """

    name: str
    terms: tuple[Term, ...]
    unique: tuple[int, ...]
