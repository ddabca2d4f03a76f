"""Tokens as an attacker would write them; jose is not asked."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

from tests.auth.accounts import NOW, SECRET

HEADER = {"alg": "HS256", "typ": "at+jwt"}
ISSUER = "urn:fastapi-kit:auth"
IAT = int(NOW.timestamp())
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": ISSUER,
    "sub": "1",
    "iat": IAT,
    "exp": IAT + 60,
    "jti": "token-1",
}


def encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def forge(header: Any = HEADER, claims: Any = CLAIMS, *, secret: str | bytes = SECRET) -> str:
    """A token with a right HMAC over whatever header and claims are given, as JSON or as bytes."""
    key = secret.encode() if isinstance(secret, str) else secret
    signed = f"{encode(as_bytes(header))}.{encode(as_bytes(claims))}"
    return f"{signed}.{encode(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def with_claims(**claims: Any) -> str:
    return forge(claims={**CLAIMS, **claims})


def without_claim(name: str) -> str:
    return forge(claims={key: value for key, value in CLAIMS.items() if key != name})
