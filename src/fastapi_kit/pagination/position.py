"""A place in a listing."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Position:
    """A place in an order, and which way to go from there.

    Args:
        values: The stored values of the order's terms.
        backward: Whether the rows before are wanted.
        inclusive: Whether a row at the very place is wanted too.
    """

    values: tuple[Any, ...]
    backward: bool = False
    inclusive: bool = False
