"""`jwks_router`: the public keys, for services that verify our tokens."""

import json
from datetime import timedelta

from fastapi import APIRouter, Response

from fastapi_kit.auth.keys import KeyRing
from fastapi_kit.errors import ConfigurationError

__all__ = ["jwks_router"]

JWKS_TYPE = "application/jwk-set+json"
"""RFC 7517 section 8.5.2."""
MAX_AGE = timedelta(minutes=5)


def jwks_router(
    keys: KeyRing, *, path: str = "/.well-known/jwks.json", max_age: timedelta = MAX_AGE
) -> APIRouter:
    """A router with the public keys as a JSON Web Key Set (RFC 7517 section 5).

    Args:
        keys: Their private parts, and secrets of HMAC keys, are never shown.
        path: Where the set is; the default is where clients look first.
        max_age: How long a client may keep the set, and so how long a new key waits before it may
            sign. Clients should ask again when they meet a kid that they do not know.

    Raises:
        ConfigurationError: The ring has no public key, or ``max_age`` is negative.
    """
    found = keys.jwks()
    if not found["keys"]:
        raise ConfigurationError(
            f"{keys!r} has no public key to show; sign with KeyRing.from_pem(...)"
        )
    if max_age < timedelta(0):
        raise ConfigurationError(f"max_age={max_age} is negative; 0 means that no one keeps it")
    body = json.dumps(found, separators=(",", ":")).encode()
    headers = {"Cache-Control": f"public, max-age={int(max_age.total_seconds())}"}
    router = APIRouter(tags=["auth"])

    @router.get(path, summary="Public keys", response_class=_KeySetResponse)
    async def read_keys() -> Response:
        """Give the keys by which tokens are verified, as a JSON Web Key Set (RFC 7517)."""
        return _KeySetResponse(body, headers=headers)

    return router


class _KeySetResponse(Response):
    media_type = JWKS_TYPE
