"""Building blocks for FastAPI services: pagination, log-in, guards, errors, logging, settings.

The everyday names can be imported from here; each is loaded with its block when first used, so
that importing this package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi_kit.app import Cors, setup_app
    from fastapi_kit.auth import (
        Auth,
        MemoryUsers,
        PasswordHasher,
        Principal,
        auth_router,
        permissions,
        roles,
        scopes,
    )
    from fastapi_kit.db import (
        Base,
        Database,
        ReadSessionDep,
        SessionDep,
        database_errors,
        get_db,
    )
    from fastapi_kit.errors import (
        AppError,
        ConfigurationError,
        ConflictError,
        ForbiddenError,
        NotFoundError,
        add_error_handlers,
        error_responses,
    )
    from fastapi_kit.health import Health
    from fastapi_kit.lifespan import compose
    from fastapi_kit.logs import add_log_fields, configure_logging, get_request_id
    from fastapi_kit.middleware import AccessLog, SecurityHeaders
    from fastapi_kit.pagination import (
        CursorPage,
        Page,
        PaginationDep,
        PaginationLimits,
        PaginationParams,
        SkipLimitDep,
        get_pagination,
        paginate,
        paginate_sequence,
        paginate_sync,
    )
    from fastapi_kit.settings import AppSettings

__all__ = [
    "AccessLog",
    "AppError",
    "AppSettings",
    "Auth",
    "Base",
    "ConfigurationError",
    "ConflictError",
    "Cors",
    "CursorPage",
    "Database",
    "ForbiddenError",
    "Health",
    "MemoryUsers",
    "NotFoundError",
    "Page",
    "PaginationDep",
    "PaginationLimits",
    "PaginationParams",
    "PasswordHasher",
    "Principal",
    "ReadSessionDep",
    "SecurityHeaders",
    "SessionDep",
    "SkipLimitDep",
    "add_error_handlers",
    "add_log_fields",
    "auth_router",
    "compose",
    "configure_logging",
    "database_errors",
    "error_responses",
    "get_db",
    "get_pagination",
    "get_request_id",
    "paginate",
    "paginate_sequence",
    "paginate_sync",
    "permissions",
    "roles",
    "scopes",
    "setup_app",
]

_BLOCKS = {
    "app": "Cors setup_app",
    "auth": "Auth MemoryUsers PasswordHasher Principal auth_router permissions roles scopes",
    "db": "Base Database ReadSessionDep SessionDep database_errors get_db",
    "errors": "AppError ConfigurationError ConflictError ForbiddenError NotFoundError "
    "add_error_handlers error_responses",
    "health": "Health",
    "lifespan": "compose",
    "logs": "add_log_fields configure_logging get_request_id",
    "middleware": "AccessLog SecurityHeaders",
    "pagination": "CursorPage Page PaginationDep PaginationLimits PaginationParams SkipLimitDep "
    "get_pagination paginate paginate_sequence paginate_sync",
    "settings": "AppSettings",
}
_BLOCK_OF = {name: block for block, names in _BLOCKS.items() for name in names.split()}


if not TYPE_CHECKING:  # or a misspelt name would pass the type checkers

    def __getattr__(name: str) -> Any:
        block = _BLOCK_OF.get(name)
        if block is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{block}"), name)
        globals()[name] = value  # the next access does not come here
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
