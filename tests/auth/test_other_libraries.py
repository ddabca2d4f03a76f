"""PyJWT and joserfc read our tokens by our key set, and we read theirs."""

import json
from typing import Any

import jwt
import pytest
from fastapi import FastAPI
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet, import_key

from fastapi_kit.auth import (
    InvalidTokenError,
    TokenIssuer,
    TokenPolicy,
    TokenVerifier,
    jwks_router,
)
from tests.auth.accounts import Clock, get
from tests.auth.keys import PRIVATE, SECRETS, private_pem, public_ring, ring

ISSUER, AUDIENCE = "https://login.example", "orders"
POLICY = TokenPolicy(issuer=ISSUER, audience=AUDIENCE)
FROZEN = TokenPolicy(issuer=ISSUER, audience=AUDIENCE, clock=Clock())


async def key_set(*algs: str) -> dict[str, Any]:
    """Our public keys as another service reads them: over HTTP."""
    keys = ring(algs[0], algs[0])
    for alg in algs[1:]:
        keys = keys.with_retired(ring(alg, alg))
    app = FastAPI()
    app.include_router(jwks_router(keys))
    found: dict[str, Any] = json.loads((await get(app, "/.well-known/jwks.json")).content)
    return found


def issue(alg: str, kid: str) -> str:
    return TokenIssuer(POLICY, ring(alg, kid)).issue(
        "7", scopes=["items:read"], auth_time=POLICY.clock()
    )


@pytest.mark.parametrize("alg", PRIVATE)
async def test_pyjwt_reads_our_token_by_our_key_set(alg: str) -> None:
    key = jwt.PyJWKSet.from_dict(await key_set(*PRIVATE))[alg]

    claims = jwt.decode(issue(alg, alg), key, algorithms=[alg], issuer=ISSUER, audience=AUDIENCE)

    assert (claims["sub"], claims["scope"]) == ("7", "items:read")


@pytest.mark.parametrize("alg", PRIVATE)
async def test_joserfc_reads_our_token_by_our_key_set(alg: str) -> None:
    keys = KeySet.import_key_set(await key_set(*PRIVATE))  # type: ignore[arg-type]

    token = joserfc_jwt.decode(issue(alg, alg), keys, algorithms=[alg])

    joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": AUDIENCE}
    ).validate(token.claims)
    assert token.header["typ"] == "at+jwt"
    assert token.claims["sub"] == "7"


@pytest.mark.parametrize("alg", SECRETS)
def test_both_read_our_token_by_our_secret(alg: str) -> None:
    token, secret = issue(alg, "now"), SECRETS[alg]

    one = jwt.decode(token, secret, algorithms=[alg], issuer=ISSUER, audience=AUDIENCE)
    two = joserfc_jwt.decode(token, import_key(secret, "oct"), algorithms=[alg]).claims

    assert one == two
    assert one["sub"] == "7"


def claims(**changes: Any) -> dict[str, Any]:
    now = int(FROZEN.clock().timestamp())
    found = {
        "iss": ISSUER,
        "aud": [AUDIENCE, "billing"],
        "sub": "7",
        "iat": now,
        "exp": now + 60,
        "jti": "theirs",
        "scope": "items:read",
    }
    return {**found, **changes}


def by_pyjwt(alg: str, kid: str | None = "now", **changes: Any) -> str:
    key = SECRETS[alg] if alg in SECRETS else private_pem(PRIVATE[alg]).decode()
    header = {"typ": "at+jwt"} | ({} if kid is None else {"kid": kid})
    return jwt.encode(claims(**changes), key, algorithm=alg, headers=header)


def by_joserfc(alg: str, kid: str | None = "now", **changes: Any) -> str:
    key = (
        import_key(SECRETS[alg], "oct")
        if alg in SECRETS
        else import_key(private_pem(PRIVATE[alg]), "RSA" if alg.startswith("RS") else "EC")
    )
    header = {"typ": "at+jwt", "alg": alg} | ({} if kid is None else {"kid": kid})
    return joserfc_jwt.encode(header, claims(**changes), key, algorithms=[alg])


@pytest.mark.parametrize("make", [by_pyjwt, by_joserfc])
@pytest.mark.parametrize("alg", [*SECRETS, *PRIVATE])
def test_we_read_theirs(make: Any, alg: str) -> None:
    keys = ring(alg) if alg in SECRETS else public_ring(alg)

    found = TokenVerifier(FROZEN, keys).verify(make(alg))

    assert (found.subject, found.token_id) == ("7", "theirs")
    assert found.scopes == {"items:read"}


@pytest.mark.parametrize("make", [by_pyjwt, by_joserfc])
@pytest.mark.parametrize("alg", [*SECRETS, *PRIVATE])
def test_we_refuse_theirs_when_they_say_the_wrong_thing(make: Any, alg: str) -> None:
    verifier = TokenVerifier(FROZEN, ring(alg) if alg in SECRETS else public_ring(alg))

    for token in (
        make(alg, kid=None),
        make(alg, kid="other"),
        make(alg, iss="https://evil.example"),
        make(alg, aud="billing"),
        make(alg, exp=claims()["iat"]),
        make(alg, jti=""),
    ):
        with pytest.raises(InvalidTokenError):
            verifier.verify(token)
