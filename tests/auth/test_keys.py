"""Which secrets and keys may sign (RFC 7518, RFC 8725), and that jose is held as it must be."""

import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import SecretBytes, SecretStr

from fastapi_kit.auth._jose import PreparedKey, Verifier, prepare_hmac, prepare_pem, sign
from fastapi_kit.auth.refusal import Refusal
from fastapi_kit.errors import ConfigurationError
from tests.auth.accounts import SECRET, make_auth
from tests.auth.forge import forge

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EC = ec.generate_private_key(ec.SECP256R1())


def private_pem(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def public_pem(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def public_der(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize(
    "secret", [SECRET, SECRET.encode(), SecretStr(SECRET), SecretBytes(SECRET.encode())]
)
async def test_a_secret_may_come_in_any_of_its_types(secret: Any) -> None:
    assert await make_auth(secret=secret).verify_access_token(forge())


def test_thirty_two_bytes_are_enough_and_one_less_is_not() -> None:
    assert make_auth(secret="x" * 32)
    with pytest.raises(ConfigurationError, match="has 31 bytes; HMAC needs 32 or more"):
        make_auth(secret="x" * 31)


def test_bytes_count_and_not_characters() -> None:
    assert make_auth(secret="é" * 16)


UNSAFE: dict[str, Callable[[], bytes | str]] = {
    "a private key in PEM": lambda: private_pem(RSA),
    "a public key in PEM": lambda: public_pem(EC),
    "a public key in PEM with text before": lambda: "key:\n" + public_pem(RSA).decode(),
    "a public key in SSH's form": lambda: RSA.public_key().public_bytes(
        Encoding.OpenSSH, PublicFormat.OpenSSH
    ),
    "an EC public key in SSH's form": lambda: EC.public_key().public_bytes(
        Encoding.OpenSSH, PublicFormat.OpenSSH
    ),
    "an RSA public key in DER": lambda: public_der(RSA),
    "an EC public key in DER": lambda: public_der(EC),
    "a private key in DER": lambda: RSA.private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    ),
    "an encrypted private key in DER": lambda: RSA.private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    ),
    "DER in base64": lambda: b64encode(public_der(RSA)),
    "DER in base64 of several lines": lambda: public_pem(RSA).decode().split("-----")[2],
    "DER in base64url without padding": lambda: urlsafe_b64encode(public_der(EC)).rstrip(b"="),
    "a JSON Web Key": lambda: '{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}',
    "a set of JSON Web Keys": lambda: '{"keys": [{"kty": "oct", "k": "c2VjcmV0LXNlY3JldA"}]}',
    "a JSON list": lambda: '["secret-secret-secret-secret-secret"]',
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_a_key_of_another_kind_is_no_secret_and_is_not_shown(kind: str) -> None:
    """By itself, jose takes an RSA public key in DER, with which anyone could then sign."""
    secret = UNSAFE[kind]()

    with pytest.raises(ConfigurationError, match="the secret is a") as raised:
        make_auth(secret=secret)

    text = secret.decode("latin-1") if isinstance(secret, bytes) else secret
    assert text not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_secret_that_is_no_unicode_is_refused_and_is_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="not valid Unicode") as raised:
        make_auth(secret="\ud800" + SECRET)

    assert raised.value.__context__ is None


@pytest.mark.parametrize("secret", [None, 7, ["x" * 32]])
def test_a_secret_of_another_type_is_refused(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match="the secret is of type"):
        make_auth(secret=secret)


@pytest.mark.parametrize(
    "secret", ["[" * 5000, "12345678901234567890123456789012", "0" * 48, "0x30" * 12, b"\x30" * 48]
)
async def test_a_secret_that_only_looks_odd_signs_and_verifies(secret: str | bytes) -> None:
    """By itself, jose signs with a secret that reads as JSON, and then never verifies."""
    auth = make_auth(secret=secret)

    assert await auth.verify_access_token(auth.create_access_token(subject="1"))


def test_nothing_shows_the_secret() -> None:
    auth = make_auth()

    assert SECRET not in repr(auth) + repr(vars(auth)) + repr(prepare_hmac(SECRET))


# --- the keys that only the wrapper knows yet (point 7)


@pytest.mark.parametrize(("alg", "length"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_as_long_as_its_hash(alg: str, length: int) -> None:
    assert prepare_hmac("x" * length, alg)
    with pytest.raises(ConfigurationError, match=f"HMAC needs {length} or more"):
        prepare_hmac("x" * (length - 1), alg)


@pytest.mark.parametrize("alg", ["none", "RS256", "HS1", ""])
def test_hmac_is_prepared_for_hmac_only(alg: str) -> None:
    with pytest.raises(ConfigurationError, match="is not one of"):
        prepare_hmac("x" * 64, alg)


@pytest.mark.parametrize("alg", ["none", "HS256", "PS256", "EdDSA"])
def test_a_pem_key_is_prepared_for_rsa_and_ec_only(alg: str) -> None:
    with pytest.raises(ConfigurationError, match="is not one of"):
        prepare_pem(public_pem(RSA), alg)


def test_an_rsa_key_below_2048_bits_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="RSA of 1024 bits; use 2048 or more"):
        prepare_pem(public_pem(SMALL_RSA), "RS256")


@pytest.mark.parametrize("alg", ["ES384", "ES512"])
def test_a_curve_of_another_algorithm_is_refused(alg: str) -> None:
    with pytest.raises(ConfigurationError, match="on curve secp256r1"):
        prepare_pem(public_pem(EC), alg)


@pytest.mark.parametrize(
    ("pem", "alg"), [(public_pem(RSA), "ES256"), (public_pem(EC), "RS256"), (b"nonsense", "RS256")]
)
def test_a_key_of_another_algorithm_is_refused_and_is_not_shown(pem: bytes, alg: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the key is not one for {alg}") as raised:
        prepare_pem(pem, alg)

    assert raised.value.__context__ is None


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (EC, "ES256")])
def test_what_the_private_key_signs_the_public_key_verifies(key: Any, alg: str) -> None:
    signer = prepare_pem(private_pem(key), alg, kid="a")
    verifier = Verifier([prepare_pem(public_pem(key), alg, kid="a")], typ="at+jwt")

    assert verifier.verify(sign({"sub": "1"}, signer, typ="at+jwt")) == {"sub": "1"}


def test_a_token_hashed_with_a_public_key_is_refused() -> None:
    """The classic confusion: the attacker takes our public key for an HMAC secret."""
    pem = public_pem(RSA)
    verifier = Verifier([prepare_pem(pem, "RS256")], typ="at+jwt")

    for known in (pem, public_der(RSA)):
        with pytest.raises(Refusal, match="no key of ours"):
            verifier.verify(forge(secret=known))


def test_two_keys_are_told_apart_by_kid() -> None:
    old, new = prepare_hmac("o" * 32, kid="old"), prepare_hmac("n" * 32, kid="new")
    verifier = Verifier([old, new], typ="at+jwt")
    impostor = PreparedKey("new", "HS256", old.verifying, old.signing)

    assert verifier.verify(sign({}, old, typ="at+jwt")) == {}
    assert verifier.verify(sign({}, new, typ="at+jwt")) == {}
    with pytest.raises(Refusal, match="signature"):
        verifier.verify(sign({}, impostor, typ="at+jwt"))


@pytest.mark.parametrize("kid", [None, "a"])
def test_hmac_and_rsa_never_share_a_kid(kid: str | None) -> None:
    keys = [prepare_hmac(SECRET, kid=kid), prepare_pem(public_pem(RSA), "RS256", kid=kid)]

    with pytest.raises(ConfigurationError, match="two keys have kid"):
        Verifier(keys, typ="at+jwt")


def test_the_packages_with_known_flaws_are_never_imported() -> None:
    """python-jose requires ``ecdsa``, ``rsa`` and ``pyasn1``; with cryptography it uses none."""
    program = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        "from fastapi_kit.auth import *\n"
        "a = Auth.from_secret('x' * 32, users=type('U', (), dict.fromkeys(\n"
        "    ['get', 'get_by_login', 'password_hash', 'set_password_hash', 'principal'], print))(),\n"
        "    token_url='/token')\n"
        "a._verifier.verify(a.create_access_token(subject='1'))\n"
        "print({'ecdsa', 'rsa', 'pyasn1'} & sys.modules.keys() or 'none')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "none\n"


def test_a_public_key_does_not_sign() -> None:
    key = prepare_pem(public_pem(EC), "ES256", kid="a")

    with pytest.raises(ConfigurationError, match="kid='a' is public; signing needs the private"):
        sign({}, key, typ="at+jwt")


@pytest.mark.parametrize("error", [TypeError, ValueError, RecursionError, RuntimeError])
def test_whatever_jose_raises_the_token_is_refused(error: type[Exception]) -> None:
    class Broken:
        def verify(self, message: bytes, signature: bytes) -> bool:
            raise error

    key = PreparedKey(None, "HS256", Broken(), None)

    with pytest.raises(Refusal, match="the signature does not fit"):
        Verifier([key], typ="at+jwt").verify(forge())


@pytest.mark.parametrize("answer", [None, 1, "yes", [True]])
def test_only_a_plain_true_of_jose_counts(answer: Any) -> None:
    class Odd:
        def verify(self, message: bytes, signature: bytes) -> Any:
            return answer

    with pytest.raises(Refusal, match="the signature does not fit"):
        Verifier([PreparedKey(None, "HS256", Odd(), None)], typ="at+jwt").verify(forge())
