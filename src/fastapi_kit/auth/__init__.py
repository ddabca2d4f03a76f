"""Log-in, tokens, the current user, and guards, over the app's own users."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastapi_kit.auth.audit import AuditHook, AuthEvent
from fastapi_kit.auth.auth import Auth
from fastapi_kit.auth.caller import AccessClaims, Caller
from fastapi_kit.auth.denylist import DenyList, MemoryDenyList
from fastapi_kit.auth.exceptions import (
    InvalidTokenError,
    NotAllowedError,
    NotAuthenticatedError,
    StaleLoginError,
    UnusablePasswordError,
)
from fastapi_kit.auth.hierarchy import RoleHierarchy
from fastapi_kit.auth.jwks import jwks_router
from fastapi_kit.auth.keys import KeyRing
from fastapi_kit.auth.lockout import Lockout, LoginAttempt, LoginLimiter, MemoryLockout
from fastapi_kit.auth.memory import MemoryUsers
from fastapi_kit.auth.password_types import Password, PasswordRules
from fastapi_kit.auth.passwords import PasswordHasher
from fastapi_kit.auth.policy import TokenPolicy
from fastapi_kit.auth.principal import Principal, Users
from fastapi_kit.auth.purpose import PurposeClaims
from fastapi_kit.auth.refresh import RefreshSession, RefreshStore, RefreshTokens
from fastapi_kit.auth.refresh_memory import MemoryRefreshStore
from fastapi_kit.auth.requirements import Requirement, fresh, permissions, roles, scopes
from fastapi_kit.auth.revocation import end_every_session
from fastapi_kit.auth.router import auth_router
from fastapi_kit.auth.tokens import TokenIssuer, TokenVerifier

__all__ = [
    "AccessClaims",
    "AuditHook",
    "Auth",
    "AuthEvent",
    "Caller",
    "DenyList",
    "InvalidTokenError",
    "KeyRing",
    "Lockout",
    "LoginAttempt",
    "LoginLimiter",
    "MemoryDenyList",
    "MemoryLockout",
    "MemoryRefreshStore",
    "MemoryUsers",
    "NotAllowedError",
    "NotAuthenticatedError",
    "Password",
    "PasswordHasher",
    "PasswordRules",
    "Principal",
    "PurposeClaims",
    "RefreshSession",
    "RefreshStore",
    "RefreshTokens",
    "Requirement",
    "RoleHierarchy",
    "SQLAlchemyDenyList",
    "SQLAlchemyRefreshStore",
    "StaleLoginError",
    "TokenIssuer",
    "TokenPolicy",
    "TokenVerifier",
    "UnusablePasswordError",
    "Users",
    "auth_router",
    "deny_list_table",
    "end_every_session",
    "fresh",
    "jwks_router",
    "permissions",
    "refresh_sessions_table",
    "roles",
    "scopes",
]

_IN_SQL = {
    "SQLAlchemyDenyList": "fastapi_kit.auth.denylist_sql",
    "deny_list_table": "fastapi_kit.auth.denylist_sql",
    "SQLAlchemyRefreshStore": "fastapi_kit.auth.refresh_sql",
    "refresh_sessions_table": "fastapi_kit.auth.refresh_sql",
}

if TYPE_CHECKING:
    from fastapi_kit.auth.denylist_sql import SQLAlchemyDenyList, deny_list_table
    from fastapi_kit.auth.refresh_sql import SQLAlchemyRefreshStore, refresh_sessions_table
else:  # not for type checkers, which would then take any name to be here

    def __getattr__(name: str) -> Any:
        # SQLAlchemy takes a second to import, which only those should pay who keep things in it.
        if name not in _IN_SQL:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_IN_SQL[name]), name)
