"""Key rings: which keys sign, which verify, and which are no keys at all."""

import json
from base64 import urlsafe_b64decode
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_kit.auth import (
    Auth,
    InvalidTokenError,
    KeyRing,
    TokenIssuer,
    TokenPolicy,
    TokenVerifier,
    jwks_router,
)
from fastapi_kit.errors import ConfigurationError
from tests.auth.accounts import NOW, Accounts, Clock, User, get
from tests.auth.forge import encode, forge
from tests.auth.keys import (
    ALGORITHMS,
    OTHER_P256,
    OTHER_RSA,
    P256,
    P384,
    PRIVATE,
    RSA,
    SECRETS,
    encrypted_pem,
    private_pem,
    public_forms,
    public_pem,
    public_ring,
    ring,
)

POLICY = TokenPolicy(issuer="https://login.example", audience="orders", clock=Clock())
SECRET = "another secret of thirty-two bytes and more"


def verify(token: str, keys: KeyRing, policy: TokenPolicy = POLICY) -> str:
    return TokenVerifier(policy, keys).verify(token).subject


# --- signing and verifying


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_ring_verifies_what_it_signs(alg: str) -> None:
    keys = ring(alg)

    assert verify(TokenIssuer(POLICY, keys).issue("7"), keys) == "7"


@pytest.mark.parametrize("alg", PRIVATE)
def test_a_public_ring_verifies_and_cannot_sign(alg: str) -> None:
    public = public_ring(alg)

    assert verify(TokenIssuer(POLICY, ring(alg)).issue("7"), public) == "7"
    with pytest.raises(ConfigurationError, match="public keys only and cannot sign"):
        TokenIssuer(POLICY, public)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_no_other_ring_verifies_it(alg: str) -> None:
    token = TokenIssuer(POLICY, ring(alg)).issue("7")

    for other in set(ALGORITHMS) - {alg}:
        with pytest.raises(InvalidTokenError):
            verify(token, ring(other))


@pytest.mark.parametrize(
    ("alg", "one", "two"), [("ES256", P256, OTHER_P256), ("RS256", RSA, OTHER_RSA)]
)
def test_another_key_of_the_same_name_does_not_verify(alg: str, one: Any, two: Any) -> None:
    token = TokenIssuer(POLICY, KeyRing.from_pem("a", private_pem(one), alg=alg)).issue("7")

    with pytest.raises(InvalidTokenError):
        verify(token, KeyRing.from_pem("a", public_pem(two), alg=alg))


@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.parametrize("signature", [b"", b"\0", b"\0" * 32, b"\0" * 64, b"\0" * 256])
def test_a_signature_of_nothing_is_refused(alg: str, signature: bytes) -> None:
    """ECDSA with r = s = 0 once passed in Java (CVE-2022-21449)."""
    head = TokenIssuer(POLICY, ring(alg)).issue("7").rpartition(".")[0]

    with pytest.raises(InvalidTokenError):
        verify(f"{head}.{encode(signature)}", ring(alg))


def test_the_twin_of_an_ecdsa_signature_is_the_same_token() -> None:
    """(r, n - s) fits as (r, s) does. What is known of a token is known by its jti, not its text."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    keys = ring("ES256")
    token = TokenIssuer(POLICY, keys).issue("7")
    head, _, signature = token.rpartition(".")
    r, s = b64(signature)[:32], int.from_bytes(b64(signature)[32:], "big")
    twin = f"{head}.{encode(r + (order - s).to_bytes(32, 'big'))}"

    verifier = TokenVerifier(POLICY, keys)

    assert twin != token
    assert verifier.verify(twin) == verifier.verify(token)


# --- retired keys


@pytest.mark.parametrize(
    "retired", [private_pem(P256), public_pem(P256), public_pem(P256).decode()]
)
def test_a_retired_key_verifies_and_does_not_sign(retired: Any) -> None:
    before = KeyRing.from_pem("2026-10", private_pem(P256), alg="ES256")
    after = KeyRing.from_pem(
        "2026-11", private_pem(OTHER_P256), alg="ES256", retired={"2026-10": retired}
    )

    assert verify(TokenIssuer(POLICY, before).issue("7"), after) == "7"
    with pytest.raises(InvalidTokenError):
        verify(TokenIssuer(POLICY, after).issue("7"), before)
    assert [key.signing is None for key in after.keys] == [False, True]


def test_a_retired_secret_verifies() -> None:
    before = KeyRing.from_secret("old", SECRETS["HS256"])
    after = KeyRing.from_secret("new", SECRET, retired={"old": SECRETS["HS256"]})

    assert verify(TokenIssuer(POLICY, before).issue("7"), after) == "7"


def test_an_algorithm_is_changed_while_old_tokens_hold() -> None:
    before = KeyRing.from_secret(None, SECRET)
    after = ring("ES256").with_retired(before)

    assert verify(TokenIssuer(POLICY, before).issue("7"), after) == "7"
    assert verify(TokenIssuer(POLICY, after).issue("7"), public_ring("ES256")) == "7"


def test_a_public_ring_with_retired_keys_still_cannot_sign() -> None:
    keys = public_ring("ES256").with_retired(ring("RS256", "old"))

    with pytest.raises(ConfigurationError, match="cannot sign"):
        TokenIssuer(POLICY, keys)


def test_a_key_that_was_dropped_no_longer_verifies() -> None:
    token = TokenIssuer(POLICY, ring("ES256", "old")).issue("7")

    with pytest.raises(InvalidTokenError):
        verify(token, ring("ES256", "new"))


# --- confusion of algorithms and keys


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "ES512"])
def test_our_public_key_is_no_hmac_secret_in_any_form(alg: str) -> None:
    for known in public_forms(alg).values():
        for asked in ("HS256", alg):
            token = forge({"alg": asked, "typ": "at+jwt", "kid": "now"}, secret=known)
            with pytest.raises(InvalidTokenError):
                verify(token, ring(alg))


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_mixed_ring_does_not_let_the_token_choose(alg: str) -> None:
    """Each kid has one algorithm, whatever the header says."""
    keys = ring(alg).with_retired(KeyRing.from_secret("secret", SECRET))
    for kid, asked in (("now", "HS256"), ("secret", alg), ("now", "none"), ("secret", "HS512")):
        for known in (public_pem(PRIVATE[alg]), SECRET.encode()):
            with pytest.raises(InvalidTokenError):
                verify(forge({"alg": asked, "typ": "at+jwt", "kid": kid}, secret=known), keys)


@pytest.mark.parametrize(
    "form", [name for name in public_forms("RS256") if name not in ("nothing", "the modulus")]
)
def test_a_public_rsa_key_makes_no_secret(form: str) -> None:
    with pytest.raises(ConfigurationError, match="the secret is"):
        KeyRing.from_secret("a", public_forms("RS256")[form])


@pytest.mark.parametrize(
    "form", [name for name in public_forms("ES256") if not name.endswith(("nothing", "point"))]
)
def test_a_public_ec_key_makes_no_secret(form: str) -> None:
    with pytest.raises(ConfigurationError, match="the secret is"):
        KeyRing.from_secret("a", public_forms("ES256")[form])


# --- keys that are none


@pytest.mark.parametrize("kid", ["", "x" * 129, "a\nb", "\x00", 7, b"a"])
def test_an_unusable_kid_is_refused(kid: Any) -> None:
    with pytest.raises(ConfigurationError, match="kid="):
        KeyRing.from_secret(kid, SECRET)
    with pytest.raises(ConfigurationError, match="kid="):
        KeyRing.from_pem(kid, private_pem(P256), alg="ES256")


def test_one_kid_for_two_keys_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="two keys have kid='a'"):
        KeyRing.from_secret("a", SECRET, retired={"a": SECRETS["HS256"]})
    with pytest.raises(ConfigurationError, match="two keys have kid='now'"):
        ring("ES256").with_retired(ring("HS256"))
    with pytest.raises(ConfigurationError, match="two keys have kid=None"):
        ring("ES256", None).with_retired(ring("HS256", None))


@pytest.mark.parametrize("alg", ["none", "None", "", "HS256", "PS256", "EdDSA", "ES256K", "es256"])
def test_a_pem_key_is_for_rsa_and_ec_only(alg: str) -> None:
    with pytest.raises(ConfigurationError, match="is not one of"):
        KeyRing.from_pem("a", private_pem(P256), alg=alg)


@pytest.mark.parametrize("alg", ["none", "", "RS256", "ES256", "hs256"])
def test_a_secret_is_for_hmac_only(alg: str) -> None:
    with pytest.raises(ConfigurationError, match="is not one of"):
        KeyRing.from_secret("a", SECRETS["HS512"], alg=alg)


CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("pem", "alg"),
    [
        (encrypted_pem(P256), "ES256"),
        (CERTIFICATE, "RS256"),
        (b"", "RS256"),
        ("\ud800", "RS256"),
        (None, "RS256"),
        (private_pem(RSA), "ES256"),
        (private_pem(P256), "RS256"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(pem: Any, alg: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the key is not one for {alg}") as raised:
        KeyRing.from_pem("a", pem, alg=alg)

    assert raised.value.__context__ is None


@pytest.mark.parametrize(("key", "alg"), [(P256, "ES384"), (P384, "ES256"), (P384, "ES512")])
def test_a_curve_of_another_algorithm_is_refused(key: Any, alg: str) -> None:
    with pytest.raises(ConfigurationError, match="is on curve"):
        KeyRing.from_pem("a", private_pem(key), alg=alg)


def test_a_ring_shows_no_key() -> None:
    secret, pair = KeyRing.from_secret("a", SECRET), ring("ES256")

    shown = repr(secret) + repr(secret.keys) + repr(pair) + repr(pair.keys) + str(vars(pair))

    assert repr(pair) == "KeyRing(now:ES256, signs=True)"
    assert SECRET not in shown
    assert "BEGIN" not in shown


# --- the public keys as a JSON Web Key Set


@pytest.mark.parametrize("alg", PRIVATE)
def test_a_key_set_tells_the_public_key_and_no_more(alg: str) -> None:
    (key,) = ring(alg).jwks()["keys"]

    members = {"n", "e"} if alg.startswith("RS") else {"crv", "x", "y"}
    assert key.keys() == {"kid", "use", "alg", "kty"} | members
    assert (key["kid"], key["use"], key["alg"]) == ("now", "sig", alg)


def test_a_key_set_holds_retired_keys_and_never_a_secret() -> None:
    keys = ring("ES256").with_retired(ring("RS256", "old")).with_retired(ring("HS256", "secret"))

    assert [key["kid"] for key in keys.jwks()["keys"]] == ["now", "old"]


def test_a_key_without_kid_is_told_without() -> None:
    (key,) = ring("ES256", None).jwks()["keys"]

    assert "kid" not in key


async def test_the_key_set_is_served_with_cache_headers() -> None:
    app = FastAPI()
    keys = ring("ES256").with_retired(ring("HS256", "secret"))
    app.include_router(jwks_router(keys))

    response = await get(app, "/.well-known/jwks.json")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/jwk-set+json"
    assert response.headers["cache-control"] == "public, max-age=300"
    assert response.json() == keys.jwks()
    assert '"d"' not in response.text
    assert '"k"' not in response.text


async def test_the_key_set_may_be_elsewhere_and_uncached() -> None:
    app = FastAPI()
    app.include_router(jwks_router(ring("ES256"), path="/keys", max_age=timedelta(0)))

    response = await get(app, "/keys")

    assert response.headers["cache-control"] == "public, max-age=0"
    with pytest.raises(ConfigurationError, match="is negative"):
        jwks_router(ring("ES256"), max_age=timedelta(seconds=-1))


def test_secrets_alone_have_no_key_set() -> None:
    with pytest.raises(ConfigurationError, match="has no public key to show"):
        jwks_router(ring("HS256"))


def test_the_key_set_is_told_in_openapi() -> None:
    app = FastAPI()
    app.include_router(jwks_router(ring("ES256")))

    (operation,) = app.openapi()["paths"]["/.well-known/jwks.json"].values()

    assert "application/jwk-set+json" in operation["responses"]["200"]["content"]
    assert "security" not in operation


# --- an Auth with keys of its own


async def test_an_auth_may_sign_with_a_key_pair() -> None:
    users = Accounts([User(1, "ann")])
    issuer = TokenIssuer(POLICY, ring("ES256"))
    login = Auth(users=users, issuer=issuer, token_url="/token")
    reader = Auth(
        users=users,
        verifiers=[TokenVerifier(POLICY, public_ring("ES256"))],
        token_url="https://login.example/token",
    )
    token = login.create_access_token(subject="1")

    assert json.loads(_header(token)) == {"alg": "ES256", "kid": "now", "typ": "at+jwt"}
    assert (await reader.verify_access_token(token)).issuer == "https://login.example"
    with pytest.raises(ConfigurationError, match="only verifies"):
        reader.create_access_token(subject="1")
    assert POLICY.clock() == NOW


def _header(token: str) -> bytes:
    return b64(token.split(".", maxsplit=1)[0])


def b64(segment: str) -> bytes:
    return urlsafe_b64decode(segment + "==")
