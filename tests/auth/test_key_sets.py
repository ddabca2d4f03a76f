"""The key set of another service, and a ring made of it."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI

from fastapi_kit.auth import InvalidTokenError, KeyRing, TokenIssuer, TokenVerifier, jwks_router
from fastapi_kit.errors import ConfigurationError
from tests.auth.accounts import get
from tests.auth.forge import encode, forge
from tests.auth.keys import ALGORITHMS, P256, PRIVATE, SECRETS, public_pem, ring
from tests.auth.test_key_rings import POLICY, verify


def jwk(of: str, /, **changed: Any) -> dict[str, Any]:
    """A public key as a JSON Web Key; a member that is changed to ``...`` is left out."""
    found = ring(of).jwks()["keys"][0] | changed
    return {name: value for name, value in found.items() if value is not ...}


def kids(*keys: Any, default_alg: str | None = None) -> list[str | None]:
    """Which keys of a set are taken, beside one that is good."""
    good = jwk("ES512", kid="good")
    found = KeyRing.from_jwks({"keys": [good, *keys]}, default_alg=default_alg)
    return [key.kid for key in found.keys]


@pytest.mark.parametrize("alg", PRIVATE)
async def test_what_one_service_shows_another_verifies_by(alg: str) -> None:
    app = FastAPI()
    app.include_router(jwks_router(ring(alg).with_retired(ring("ES512", "old"))))
    keys = KeyRing.from_jwks(json.loads((await get(app, "/.well-known/jwks.json")).content))

    assert verify(TokenIssuer(POLICY, ring(alg)).issue("7"), keys) == "7"
    assert verify(TokenIssuer(POLICY, ring("ES512", "old")).issue("7"), keys) == "7"
    with pytest.raises(ConfigurationError, match="cannot sign"):
        TokenIssuer(POLICY, keys)


@pytest.mark.parametrize("alg", [alg for alg in ALGORITHMS if alg != "ES256"])
def test_it_verifies_by_the_algorithm_of_the_key_and_no_other(alg: str) -> None:
    keys = KeyRing.from_jwks(ring("ES256").jwks())

    with pytest.raises(InvalidTokenError):
        verify(TokenIssuer(POLICY, ring(alg)).issue("7"), keys)


@pytest.mark.parametrize("secret", [public_pem(P256), json.dumps(jwk("ES256")).encode()])
def test_its_public_key_is_no_hmac_secret(secret: bytes) -> None:
    verifier = TokenVerifier(POLICY, KeyRing.from_jwks({"keys": [jwk("ES256")]}))
    header = {"alg": "HS256", "typ": "at+jwt", "kid": "now"}

    with pytest.raises(InvalidTokenError):
        verifier.verify(forge(header, secret=secret))


def test_private_parts_are_not_read() -> None:
    private = jwk("ES256", d=encode(P256.private_numbers().private_value.to_bytes(32, "big")))

    keys = KeyRing.from_jwks({"keys": [private]})

    assert keys.jwks() == {"keys": [jwk("ES256")]}
    assert [key.signing for key in keys.keys] == [None]
    with pytest.raises(ConfigurationError, match="cannot sign"):
        _ = keys.signing


@pytest.mark.parametrize(
    "other",
    [
        None,
        7,
        "key",
        [],
        {},
        {"kty": "oct", "kid": "a", "alg": "HS256", "k": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg"},
        {"kty": "OKP", "kid": "a", "alg": "EdDSA", "crv": "Ed25519", "x": "AAAA"},
        jwk("RS256", use="enc"),
        jwk("RS256", use=None),
        jwk("RS256", key_ops=["encrypt"]),
        jwk("RS256", key_ops="verify"),
        jwk("RS256", key_ops=7),
        jwk("RS256", alg=...),
        jwk("RS256", alg=None),
        jwk("RS256", alg=["RS256"]),
        jwk("RS256", alg="PS256"),
        jwk("RS256", alg="RSA-OAEP"),
        jwk("RS256", alg="HS256"),
        jwk("RS256", alg="none"),
        jwk("RS256", alg="ES256"),
        jwk("ES256", alg="RS256"),
        jwk("ES256", alg="ES384"),
        jwk("RS256", n=...),
        jwk("RS256", n=7),
        jwk("RS256", n="!"),
        jwk("RS256", kty="EC"),
        jwk("ES256", x=...),
        jwk("ES256", x="AAAA"),
        jwk("ES256", crv="P-192"),
        jwk("ES256", kid=7),
        jwk("ES256", kid=""),
        jwk("ES256", kid="a\nb"),
        jwk("ES256", kid="x" * 129),
    ],
)
def test_a_key_that_is_of_no_use_is_left_out(other: Any) -> None:
    """RFC 7517 section 5: one key that we do not know must not end the trust in the others."""
    assert kids(other) == ["good"]


def test_a_short_rsa_key_is_left_out() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    number = short.public_key().public_numbers().n
    assert kids(jwk("RS256", n=encode(number.to_bytes(128, "big")))) == ["good"]


@pytest.mark.parametrize("key_ops", [["verify"], ["sign", "verify"]])
def test_a_key_for_verifying_is_taken(key_ops: list[str]) -> None:
    assert kids(jwk("RS256", use=..., key_ops=key_ops)) == ["good", "now"]


def test_keys_without_algorithm_take_the_one_that_is_given() -> None:
    unnamed = jwk("RS256", alg=...)

    assert kids(unnamed, default_alg="RS256") == ["good", "now"]
    assert kids(unnamed, default_alg="ES256") == ["good"]
    assert kids(unnamed, default_alg="HS256") == ["good"]


@pytest.mark.parametrize("found", [{}, {"keys": None}, {"keys": {}}, {"keys": "x"}])
def test_what_is_no_key_set_is_refused(found: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="has no list of 'keys'"):
        KeyRing.from_jwks(found)


@pytest.mark.parametrize("keys", [[], [{"kty": "oct", "k": SECRETS["HS256"], "alg": "HS256"}]])
def test_a_key_set_without_a_key_of_use_is_refused(keys: list[Any]) -> None:
    with pytest.raises(ConfigurationError, match="has no RSA or EC key for signatures"):
        KeyRing.from_jwks({"keys": keys})


def test_two_keys_of_one_kid_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two keys have kid='now'"):
        KeyRing.from_jwks({"keys": [jwk("RS256"), jwk("ES256")]})
