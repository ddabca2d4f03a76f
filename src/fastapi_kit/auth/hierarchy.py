"""`RoleHierarchy`: roles that include others."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from fastapi_kit.auth.names import as_names
from fastapi_kit.errors import ConfigurationError

__all__ = ["RoleHierarchy"]


class RoleHierarchy:
    """Which roles a role includes: whoever has it may do all that those may.

        RoleHierarchy({"admin": ["editor"], "editor": ["viewer"]})

    With it ``roles("viewer")`` lets editors and admins through too. Roles that are not named stand
    for themselves. Permissions and scopes are not touched.

    Args:
        includes: Role to the roles directly below it.

    Raises:
        ConfigurationError: A role includes itself, by whatever way.
        TypeError: One string came in place of a collection of roles, or a role is no non-empty
            string.
    """

    def __init__(self, includes: Mapping[str, Iterable[str]]) -> None:
        direct = {
            role: as_names(f"roles below {role!r}", below) for role, below in includes.items()
        }
        as_names("roles", direct)
        self._all: dict[str, frozenset[str]] = {}
        for role in _from_below(direct):
            below = direct.get(role, frozenset())
            self._all[role] = below.union(*(self._all[lower] for lower in below))

    def expand(self, roles: frozenset[str]) -> frozenset[str]:
        """These roles and all that they include."""
        return roles.union(*(self._all[role] for role in roles if role in self._all))

    def __repr__(self) -> str:
        shown = {role: sorted(below) for role, below in self._all.items()}
        return f"RoleHierarchy({shown!r})"


def _from_below(direct: Mapping[str, frozenset[str]]) -> Iterable[str]:
    try:
        return tuple(TopologicalSorter(direct).static_order())
    except CycleError as error:
        circle = " > ".join(error.args[1])
    raise ConfigurationError(f"roles include each other in a circle: {circle}; break it")
