"""Tokens for one purpose: to reset a password, to confirm an e-mail address."""

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Any

from fastapi_kit.auth._jose import Verifier, sign
from fastapi_kit.auth.claims import identifier, lifetime, new_claims, require_party
from fastapi_kit.auth.refusal import Refusal
from fastapi_kit.auth.tokens import TokenIssuer, require_issuable
from fastapi_kit.errors import ConfigurationError

__all__ = ["PurposeClaims", "PurposeTokens", "require_bound", "require_unbound"]

PURPOSE_TOKEN_TYPE = "purpose+jwt"  # noqa: S105  # RFC 8725 section 3.11: a type of its own
BINDING = "bound"
"""The claim that holds the digest of what the token is bound to."""
_PURPOSE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class PurposeClaims:
    """What a verified purpose token says (claims of RFC 7519 section 4.1)."""

    purpose: str
    """What it is good for, and nothing else."""
    subject: str
    """``sub``: whose token it is."""
    token_id: str
    """``jti``: this token's own identifier."""
    issued_at: datetime
    """``iat``, aware UTC."""
    expires_at: datetime
    """``exp``, aware UTC."""


class PurposeTokens:
    """Makes and checks purpose tokens with the keys of the access tokens.

    Neither is ever taken for the other (RFC 8725 section 3.12): the types differ, and so do the
    audiences, in case that someone else's verifier does not look at the type.
    """

    def __init__(self, issuer: TokenIssuer) -> None:
        self._policy = issuer.policy
        self._key = issuer.keys.signing
        self._verifier = Verifier(issuer.keys.keys, typ=PURPOSE_TOKEN_TYPE)

    def issue(self, purpose: str, subject: str, ttl: timedelta, bound_to: str | None) -> str:
        """A new token.

        Raises:
            ValueError: The subject cannot be one, the lifetime is out of range, or the purpose is
                no name.
        """
        require_issuable(subject, ttl)
        claims = new_claims(self._policy, subject, ttl)
        claims["aud"] = self._audience(purpose)
        if bound_to is not None:
            claims[BINDING] = _digest(str(claims["jti"]), bound_to)
        return sign(claims, self._key, typ=PURPOSE_TOKEN_TYPE)

    def judge(self, purpose: str, token: object) -> tuple[PurposeClaims, Mapping[str, Any]]:
        """What the token says, and all its claims; what it is bound to is not judged yet.

        Raises:
            Refusal: It does not hold.
            ConfigurationError: The purpose is no name.
        """
        audience = self._audience(purpose)
        claims = self._verifier.verify(token)
        require_party(claims, self._policy.issuer, audience)
        subject, token_id = identifier(claims, "sub"), identifier(claims, "jti")
        now, leeway = self._policy.clock().timestamp(), self._policy.leeway.total_seconds()
        issued_at, expires_at = lifetime(claims, now, leeway)
        found = PurposeClaims(
            purpose,
            subject,
            token_id,
            datetime.fromtimestamp(issued_at, UTC),
            datetime.fromtimestamp(expires_at, UTC),
        )
        return found, claims

    def _audience(self, purpose: str) -> str:
        if _PURPOSE.fullmatch(purpose) is None:
            raise ConfigurationError(
                f"purpose={purpose!r} is not 1 to 64 lower-case letters, digits and hyphens; "
                "write 'password-reset'"
            )
        return f"{self._policy.issuer}#{purpose}"


def require_unbound(claims: Mapping[str, Any]) -> None:
    """Refuse a token that is bound, where nobody says to what.

    Raises:
        Refusal: It is.
    """
    if BINDING in claims:
        raise Refusal("the token is bound to something")


def require_bound(claims: Mapping[str, Any], bound_to: str | None) -> None:
    """Refuse a token that is bound to something else, or to nothing.

    Raises:
        Refusal: It is.
    """
    found = claims.get(BINDING)
    if bound_to is None or not isinstance(found, str) or not found.isascii():
        raise Refusal("the token is not bound as it should be")
    if not compare_digest(found, _digest(identifier(claims, "jti"), bound_to)):
        raise Refusal("what the token was bound to has changed")


def _digest(token_id: str, bound_to: str) -> str:
    # With the jti, so that two tokens do not tell that they are bound to the same. What is bound
    # must be hard to guess, as a salted password hash is, or no secret from whoever has the token.
    data = f"{token_id}\0{bound_to}".encode("utf-8", "surrogatepass")
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
