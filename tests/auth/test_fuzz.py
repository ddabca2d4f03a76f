"""Only what the issuer made is accepted: the verifier against many small changes.

Bounded: every run tries the same, some thousands in all.
"""

import json
import random
import string
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_kit.auth import (
    AccessClaims,
    InvalidTokenError,
    KeyRing,
    TokenIssuer,
    TokenPolicy,
    TokenVerifier,
)
from tests.auth.accounts import NOW, SECRET, Clock
from tests.auth.forge import CLAIMS, HEADER, encode, forge
from tests.auth.keys import ALGORITHMS, ring
from tests.auth.test_key_rings import b64

POLICY = TokenPolicy(issuer="https://login.example", clock=Clock())
SUBJECTS = st.text(min_size=1, max_size=255).filter(str.isprintable)
SCOPES = st.sets(
    st.text(
        "".join(set(string.printable) - set(string.whitespace + '"\\')), min_size=1, max_size=9
    ),
    max_size=4,
)
RINGS = {alg: ring(alg) for alg in ALGORITHMS}
VERIFIERS = {alg: TokenVerifier(POLICY, keys) for alg, keys in RINGS.items()}
ISSUED = {
    alg: TokenIssuer(POLICY, keys).issue("7", scopes=["a", "b"], auth_time=NOW)
    for alg, keys in RINGS.items()
}


def accepted(verifier: TokenVerifier, token: Any) -> AccessClaims | None:
    try:
        return verifier.verify(token)
    except InvalidTokenError:
        return None


@given(
    st.sampled_from(["HS256", "ES256"]),
    SUBJECTS,
    SCOPES,
    st.integers(1, 366 * 24 * 3600),
    st.none() | st.integers(0, 10**6),
)
@settings(max_examples=100)
def test_whatever_is_issued_is_read_back(
    alg: str, subject: str, scopes: set[str], ttl: int, login_age: int | None
) -> None:
    auth_time = None if login_age is None else NOW - timedelta(seconds=login_age)
    token = TokenIssuer(POLICY, RINGS[alg]).issue(
        subject, scopes=scopes, ttl=timedelta(seconds=ttl), auth_time=auth_time
    )

    claims = VERIFIERS[alg].verify(token)

    assert (claims.subject, claims.auth_time) == (subject, auth_time)
    assert claims.scopes == scopes
    assert claims.expires_at - claims.issued_at == timedelta(seconds=ttl)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_no_single_bit_may_change(alg: str) -> None:
    token = ISSUED[alg]
    step = 1 if alg.startswith(("HS", "ES")) else 5  # RSA signatures are long

    for place in range(0, len(token), step):
        for bit in (1, 4, 32):
            other = token[:place] + chr(ord(token[place]) ^ bit) + token[place + 1 :]
            assert accepted(VERIFIERS[alg], other) is None, (place, bit)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_no_part_may_be_missing_doubled_swapped_or_taken_from_elsewhere(alg: str) -> None:
    header, payload, signature = ISSUED[alg].split(".")
    others = [ISSUED[other].split(".") for other in ALGORITHMS if other != alg]
    forms = [
        f"{payload}.{header}.{signature}",
        f"{header}.{signature}.{payload}",
        f"{header}.{payload}",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature}.{signature}",
        f"{header}.{payload}.{signature}{signature}",
        f"{header}.{payload * 2}.{signature}",
        f".{payload}.{signature}",
        f"{header}..{signature}",
        *(f"{header}.{payload}.{other[2]}" for other in others),
        *(f"{header}.{other[1]}.{signature}" for other in others),
        *(f"{other[0]}.{payload}.{signature}" for other in others),
        *(ISSUED[alg][:cut] for cut in range(0, len(ISSUED[alg]), 7)),
    ]

    assert VERIFIERS[alg].verify(ISSUED[alg])
    for form in forms:
        assert accepted(VERIFIERS[alg], form) is None, form


@pytest.mark.parametrize("seed", range(4))
def test_random_edits_are_never_accepted_and_never_anything_but_refused(seed: int) -> None:
    chance = random.Random(seed)
    alphabet = string.ascii_letters + string.digits + "-_.=+/ \n\0é\ud800{}\"'%"
    tokens = [ISSUED[alg] for alg in ("HS256", "ES256")]
    for _ in range(500):
        token = chance.choice(tokens)
        edited = list(token)
        for _ in range(chance.randint(1, 5)):
            place = chance.randrange(len(edited))
            match chance.randrange(4):
                case 0:
                    edited[place] = chance.choice(alphabet)
                case 1:
                    edited.insert(place, chance.choice(alphabet))
                case 2:
                    del edited[place]
                case _:
                    edited[place:place] = edited[place : place + chance.randint(1, 40)]
        text = "".join(edited)
        for alg in ("HS256", "ES256"):
            assert accepted(VERIFIERS[alg], text) is None or text == ISSUED[alg]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
HEADERS = st.dictionaries(
    st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "x5u", "zip", "cty"])
    | st.text(max_size=5),
    JSON | st.sampled_from(["HS256", "none", "at+jwt", "now", "JWT"]),
    max_size=6,
)


@given(HEADERS)
@settings(max_examples=150)
def test_no_header_makes_a_foreign_signature_good(header: dict[str, Any]) -> None:
    for secret in ("the attacker's own thirty-two bytes", ""):
        token = forge({**HEADER, "kid": "now", **header}, CLAIMS, secret=secret)
        assert accepted(VERIFIERS["HS256"], token) is None


@given(st.dictionaries(st.sampled_from([*CLAIMS, "nbf", "scope", "auth_time", "iat_us"]), JSON))
@settings(max_examples=150)
def test_no_claims_are_a_server_error_and_accepted_ones_keep_the_rules(
    claims: dict[str, Any],
) -> None:
    policy = TokenPolicy(issuer=CLAIMS["iss"], clock=Clock())
    verifier = TokenVerifier(policy, KeyRing.from_secret(None, SECRET))

    found = accepted(verifier, forge(claims={**CLAIMS, **claims}))

    if found is not None:
        assert found.issuer == CLAIMS["iss"]
        assert 0 < len(found.subject) <= 255
        assert found.expires_at > NOW
        assert found.issued_at <= NOW + timedelta(seconds=61)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(min_size=1, max_size=70))
@settings(max_examples=150)
def test_no_three_segments_are_accepted(header: bytes, payload: bytes, signature: bytes) -> None:
    text = ".".join(encode(part) for part in (header, payload, signature))

    assert accepted(VERIFIERS["HS256"], text) is None
    head, body, _ = ISSUED["HS256"].split(".")
    assert accepted(VERIFIERS["HS256"], f"{head}.{body}.{encode(signature)}") is None


def test_an_issued_header_says_what_it_must_and_no_more() -> None:
    for alg, token in ISSUED.items():
        assert json.loads(b64(token.split(".")[0])) == {"alg": alg, "kid": "now", "typ": "at+jwt"}


def test_with_every_algorithm_the_packages_with_known_flaws_are_never_imported() -> None:
    """python-jose requires ``ecdsa``, ``rsa`` and ``pyasn1``; with cryptography it uses none."""
    program = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        "from tests.auth.test_fuzz import ISSUED, VERIFIERS\n"
        "assert all(VERIFIERS[alg].verify(token) for alg, token in ISSUED.items())\n"
        "from fastapi_kit.auth import jwks_router\n"
        "from tests.auth.keys import ring\n"
        "jwks_router(ring('RS256').with_retired(ring('ES256', 'b')))\n"
        "print({'ecdsa', 'rsa', 'pyasn1'} & sys.modules.keys() or 'none')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "none\n"
