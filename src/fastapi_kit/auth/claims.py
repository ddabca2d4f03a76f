"""The claims of tokens: RFC 7519 section 4, RFC 8725 section 3, RFC 9068 section 2.2."""

import math
import secrets
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, cast

from fastapi_kit.auth.caller import AccessClaims
from fastapi_kit.auth.names import is_scope_token
from fastapi_kit.auth.policy import MAX_TTL, MICROSECONDS_CLAIM, TokenPolicy
from fastapi_kit.auth.principal import is_subject
from fastapi_kit.auth.refusal import Refusal

__all__ = [
    "MAX_NAMES",
    "AccessRules",
    "are_claim_names",
    "identifier",
    "lifetime",
    "new_claims",
    "require_party",
]

MAX_NUMERIC_DATE = 253_402_300_799
"""Seconds; 9999-12-31T23:59:59Z, the last moment that a `datetime` can hold."""
MAX_ISSUED_AHEAD_SECONDS = 60
"""How far the clock of another host of ours may be ahead when it issues a token."""
MAX_NAMES = 200
"""Of roles, and of permissions, in one token."""
MAX_LIFETIME_SECONDS = MAX_TTL.total_seconds() + 1
"""What we issue ends on a whole second."""


def new_claims(policy: TokenPolicy, subject: str, ttl: timedelta) -> dict[str, object]:
    """Claims of a token that is good from now until ``ttl`` has passed."""
    now = policy.clock()
    # Whole seconds, rounded down. RFC 7519 section 2 allows a fraction, but libraries that round the
    # present down take it for the future.
    seconds = math.floor(now.timestamp())
    claims: dict[str, object] = {
        "iss": policy.issuer,
        "aud": policy.accepted_audience,
        "sub": subject,
        "iat": seconds,
        "exp": seconds + int(ttl.total_seconds()),
        "jti": secrets.token_urlsafe(16),
    }
    if now.microsecond:
        claims[MICROSECONDS_CLAIM] = now.microsecond
    return claims


class AccessRules:
    """Judges the claims of access tokens by one policy.

    Each request pays for this, so what does not change is looked up once.
    """

    def __init__(self, policy: TokenPolicy) -> None:
        self._issuer = policy.issuer
        self._audience = policy.accepted_audience
        self._leeway = policy.leeway.total_seconds()
        self._clock = policy.clock
        self._roles_claim = policy.roles_claim
        self._permissions_claim = policy.permissions_claim

    def judge(self, claims: Mapping[str, Any]) -> AccessClaims:
        """What a signed token says, if it holds now.

        Raises:
            Refusal: A claim is missing, of a wrong type, or does not hold.
        """
        require_party(claims, self._issuer, self._audience)
        subject, token_id = identifier(claims, "sub"), identifier(claims, "jti")
        if "client_id" in claims:
            identifier(claims, "client_id")
        now = self._clock()
        seconds = now.timestamp()
        issued_at, expires_at = lifetime(claims, seconds, self._leeway)
        return AccessClaims(
            subject=subject,
            scopes=_scopes(claims["scope"]) if "scope" in claims else _NO_NAMES,
            token_id=token_id,
            issued_at=_exactly(datetime.fromtimestamp(issued_at, UTC), claims),
            expires_at=datetime.fromtimestamp(expires_at, UTC),
            issuer=self._issuer,
            auth_time=_auth_time(claims, seconds + self._leeway),
            verified_at=now,
            roles=_names(claims, self._roles_claim),
            permissions=_names(claims, self._permissions_claim),
        )


def require_party(claims: Mapping[str, Any], issuer: str, audience: str) -> None:
    """Refuse a token of another issuer or for another audience (RFC 8725 sections 3.8 and 3.9).

    Raises:
        Refusal: It is.
    """
    if claims.get("iss") != issuer:
        raise Refusal("iss is not our issuer")
    found: Any = claims.get("aud")
    if found != audience and audience not in _audiences(found):
        raise Refusal("aud does not name us")


def _audiences(found: object) -> list[str]:
    if isinstance(found, str):
        return [found]
    if isinstance(found, list):
        entries = cast("list[object]", found)
        names = [entry for entry in entries if isinstance(entry, str)]
        if len(names) == len(entries):
            return names
    raise Refusal("aud is neither a string nor a list of strings")


def identifier(claims: Mapping[str, Any], name: str) -> str:
    """A claim that names something.

    Raises:
        Refusal: It is missing, or not fit for a log line and a database key.
    """
    value = claims.get(name)
    if not isinstance(value, str) or not is_subject(value):
        raise Refusal(f"{name} is not a usable string")
    return value


def lifetime(claims: Mapping[str, Any], now: float, leeway: float) -> tuple[float, float]:
    """When a token was issued and when it expires, in seconds, if it is good now.

    Raises:
        Refusal: It is not, or a moment is missing or no number.
    """
    issued_at, expires_at = _moment(claims, "iat"), _moment(claims, "exp")
    if now >= expires_at + leeway:
        raise Refusal("the token has expired")
    if "nbf" in claims and now < _moment(claims, "nbf") - leeway:
        raise Refusal("the token is not valid yet")
    if issued_at > now + leeway + MAX_ISSUED_AHEAD_SECONDS:
        raise Refusal("the token was issued in the future")
    if issued_at > expires_at:
        raise Refusal("the token expired before it was issued")
    if expires_at - issued_at > MAX_LIFETIME_SECONDS:
        raise Refusal("the token lives too long")
    return issued_at, expires_at


def _exactly(issued_at: datetime, claims: Mapping[str, Any]) -> datetime:
    if MICROSECONDS_CLAIM not in claims:
        return issued_at
    value = claims[MICROSECONDS_CLAIM]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1_000_000:
        raise Refusal(f"{MICROSECONDS_CLAIM} is not a number of microseconds")
    return issued_at + timedelta(microseconds=value)


def _auth_time(claims: Mapping[str, Any], now: float) -> datetime | None:
    if "auth_time" not in claims:
        return None
    seconds = _moment(claims, "auth_time")
    if seconds > now + MAX_ISSUED_AHEAD_SECONDS:
        raise Refusal("the log-in is in the future")
    return datetime.fromtimestamp(seconds, UTC)


_NUMBERS = frozenset({int, float})


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value: Any = claims.get(name)
    if type(value) not in _NUMBERS:  # not by isinstance: a bool is an int to Python
        raise Refusal(f"{name} is not a number")
    # Before any arithmetic: JSON's 1e999 is an infinity, and 10**400 is no float.
    if not 0 <= value <= MAX_NUMERIC_DATE:
        raise Refusal(f"{name} is out of range")
    return float(value)


def _names(claims: Mapping[str, Any], claim: str | None) -> frozenset[str]:
    if claim is None or claim not in claims:
        return _NO_NAMES
    found: object = claims[claim]
    if not isinstance(found, list) or not are_claim_names(cast("list[object]", found)):
        raise Refusal(f"{claim} is not a list of names")
    return frozenset(cast("list[str]", found))


def are_claim_names(names: Collection[object]) -> bool:
    """Whether a token may list these as roles or permissions: few, each fit for a log line."""
    return len(names) <= MAX_NAMES and all(map(is_subject, names))


_NO_NAMES: frozenset[str] = frozenset()


def _scopes(found: object) -> frozenset[str]:
    if not isinstance(found, str):
        raise Refusal("scope is not a string")
    return _scopes_in(found)


# Only the texts of signed tokens come here: a handful, over and over.
@lru_cache(maxsize=256)
def _scopes_in(text: str) -> frozenset[str]:
    names = text.split(" ")
    if not all(is_scope_token(name) for name in names):
        raise Refusal("scope is not a list of scopes")
    return frozenset(names)
