"""Who is calling: the user, what the guards know of them, and the token that said so."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from fastapi_kit.auth.principal import Principal

__all__ = ["AccessClaims", "Caller"]

UserT_co = TypeVar("UserT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a verified access token says (RFC 9068 section 2.2)."""

    subject: str
    """``sub``: whose token it is."""
    scopes: frozenset[str]
    """``scope``: what the token may be used for."""
    token_id: str
    """``jti``: this token's own identifier."""
    issued_at: datetime
    """``iat``, aware UTC; of our own tokens to the microsecond."""
    expires_at: datetime
    """``exp``, aware UTC; from this moment on the token is refused."""
    issuer: str = ""
    """``iss``: who issued it, one of those that are trusted; empty only in tests, by `as_user`."""
    auth_time: datetime | None = None
    """``auth_time``, aware UTC: when the user last proved who they are; ``None`` if not told.
    Refreshing a token does not move it (RFC 9068 section 2.2.1)."""
    verified_at: datetime | None = None
    """When it was verified, on the verifier's own clock."""
    roles: frozenset[str] = frozenset()
    """What its issuer says the subject is, by `TokenPolicy.roles_claim`. Guards go by it only where
    the `Auth` has no users."""
    permissions: frozenset[str] = frozenset()
    """Likewise, by `TokenPolicy.permissions_claim`."""

    @property
    def login_age(self) -> timedelta | None:
        """How long the log-in was ago when the token was verified; ``None`` if not told."""
        if self.auth_time is None or self.verified_at is None:
            return None
        return self.verified_at - self.auth_time


@dataclass(frozen=True, slots=True)
class Caller(Generic[UserT_co]):
    """The user behind a request, by a verified token; `Auth.identify` gives it."""

    user: UserT_co
    """As `Users.get` gave it; without users, what the token says, as a `Principal`."""
    principal: Principal
    """Roles that a `RoleHierarchy` adds are among its roles."""
    claims: AccessClaims
    scopes: frozenset[str] = field(init=False)
    """What counts: the token's scopes, less those that the user may no longer have."""

    def __post_init__(self) -> None:
        held, allowed = self.claims.scopes, self.principal.scopes
        object.__setattr__(self, "scopes", held if allowed is None else held & allowed)

    def just_logged_in(self) -> "Caller[UserT_co]":
        """The same caller, had they logged in this moment."""
        claims = replace(self.claims, auth_time=self.claims.verified_at)
        return replace(self, claims=claims)
