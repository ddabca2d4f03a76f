"""Keys of every kind, made once, in every form that they are passed around in."""

from base64 import b64encode, urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from fastapi_kit.auth import KeyRing

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256 = ec.generate_private_key(ec.SECP256R1())
OTHER_P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
P521 = ec.generate_private_key(ec.SECP521R1())

SECRETS = {"HS256": "x" * 32, "HS384": "y" * 48, "HS512": "z" * 64}
PRIVATE: dict[str, Any] = {
    "RS256": RSA,
    "RS384": RSA,
    "RS512": RSA,
    "ES256": P256,
    "ES384": P384,
    "ES512": P521,
}
ALGORITHMS = [*SECRETS, *PRIVATE]


def private_pem(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def encrypted_pem(key: Any) -> bytes:
    return bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )


def public_bytes(key: Any, encoding: Encoding, format: PublicFormat) -> bytes:
    return bytes(key.public_key().public_bytes(encoding, format))


def public_pem(key: Any) -> bytes:
    return public_bytes(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_der(key: Any) -> bytes:
    return public_bytes(key, Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def ring(alg: str, kid: str | None = "now") -> KeyRing:
    """A ring that signs by this algorithm."""
    if alg in SECRETS:
        return KeyRing.from_secret(kid, SECRETS[alg], alg=alg)
    return KeyRing.from_pem(kid, private_pem(PRIVATE[alg]), alg=alg)


def public_ring(alg: str, kid: str | None = "now") -> KeyRing:
    """A ring that verifies what `ring` signs, by its public key."""
    return KeyRing.from_pem(kid, public_pem(PRIVATE[alg]), alg=alg)


def public_forms(alg: str) -> dict[str, bytes]:
    """All that an attacker may take our public key for, as an HMAC secret."""
    key = PRIVATE[alg]
    pem, der = public_pem(key), public_der(key)
    forms = {
        "PEM": pem,
        "PEM without its last line break": pem.rstrip(),
        "PEM with other line breaks": pem.replace(b"\n", b"\r\n"),
        "DER": der,
        "base64 of DER": b64encode(der),
        "base64url of DER": urlsafe_b64encode(der).rstrip(b"="),
        "the body of the PEM": b"".join(pem.splitlines()[1:-1]),
        "SSH": public_bytes(key, Encoding.OpenSSH, PublicFormat.OpenSSH),
        "a JSON Web Key": str(KeyRing.from_pem(None, pem, alg=alg).jwks()["keys"][0])
        .replace("'", '"')
        .encode(),
    }
    if alg.startswith("RS"):
        forms["PKCS1 in PEM"] = public_bytes(key, Encoding.PEM, PublicFormat.PKCS1)
        forms["PKCS1 in DER"] = public_bytes(key, Encoding.DER, PublicFormat.PKCS1)
        number = key.public_key().public_numbers().n
        forms["the modulus"] = number.to_bytes(256, "big")
    else:
        forms["the point"] = public_bytes(key, Encoding.X962, PublicFormat.UncompressedPoint)
        forms["the compressed point"] = public_bytes(
            key, Encoding.X962, PublicFormat.CompressedPoint
        )
    forms["nothing"] = b""
    return forms
