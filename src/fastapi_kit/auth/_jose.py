"""The one module that imports python-jose, and all that holds it right.

python-jose 3.5 by itself accepts what it must not: an RSA public key in DER as HMAC secret, the
algorithm that the header asks for, unknown ``crit`` extensions, second spellings of a signature;
and it lets TypeError, OverflowError, RecursionError and UnicodeEncodeError out. So jose never sees
a token: `Verifier` reads it strictly, once, and decides on the header and the key. jose holds the
keys, each prepared for one algorithm, and tells whether a signature fits (``Key.verify``, which
``jws.verify`` would call after reading the token a second time by its own, looser rules: what two
readers understand differently is what forgeries are made of). No claim is judged here at all (see
``claims.py``).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jose import jwk, jws
from jose.backends.base import Key
from jose.backends.native import HMACKey

from fastapi_kit.auth.compact import decode_object, decode_segment, split
from fastapi_kit.auth.refusal import Refusal
from fastapi_kit.auth.secret import Secret, secret_bytes
from fastapi_kit.errors import ConfigurationError

__all__ = [
    "PreparedKey",
    "Verifier",
    "is_kid",
    "prepare_hmac",
    "prepare_jwk",
    "prepare_pem",
    "sign",
]

HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Algorithm to the least length of its secret (RFC 7518 section 3.2)."""
RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512"})
MIN_RSA_BITS = 2048
"""RFC 7518 section 3.3."""
EC_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
"""Algorithm to its curve (RFC 7518 section 3.4)."""
PAIR_ALGORITHMS = (*sorted(EC_CURVES), *sorted(RSA_ALGORITHMS))
MAX_KID_LENGTH = 128


@dataclass(frozen=True, slots=True)
class PreparedKey:
    """A key bound to one algorithm, parsed once: from PEM text, RS256 costs 60 times as much."""

    kid: str | None
    alg: str
    verifying: Key = field(repr=False)
    """The public key; with HMAC, the secret."""
    signing: Key | None = field(repr=False)
    """``None`` where only the public key is known."""

    def verifying_only(self) -> "PreparedKey":
        """The same key, no longer signing."""
        return PreparedKey(self.kid, self.alg, self.verifying, None)

    def public_jwk(self) -> dict[str, str] | None:
        """As a public JSON Web Key (RFC 7517); ``None`` for a secret, which has nothing public."""
        if self.alg in HMAC_BYTES:
            return None
        found: dict[str, str] = self.verifying.to_dict()
        shown = {name: found[name] for name in _PUBLIC_MEMBERS if name in found}
        return {**({} if self.kid is None else {"kid": self.kid}), "use": "sig", **shown}


_PUBLIC_MEMBERS = ("alg", "kty", "crv", "x", "y", "n", "e")


def prepare_hmac(secret: Secret, alg: str = "HS256", *, kid: str | None = None) -> PreparedKey:
    """A key for HS256, HS384 or HS512.

    Raises:
        ConfigurationError: The secret is unsafe, the algorithm is another, or the kid is unusable.
    """
    if alg not in HMAC_BYTES:
        raise ConfigurationError(f"alg={alg!r} is not one of {sorted(HMAC_BYTES)}")
    raw = secret_bytes(secret, min_length=HMAC_BYTES[alg])
    # jose's key over the standard library's `hmac`; `jwk.construct` would give the one over
    # `cryptography`, which sets OpenSSL up anew for each token: a third of a small request's time.
    key = HMACKey(raw, alg)
    return PreparedKey(_checked_kid(kid), alg, key, key)


def prepare_pem(pem: str | bytes, alg: str, *, kid: str | None = None) -> PreparedKey:
    """A key for RS256 to RS512 or ES256 to ES512; a public one verifies, a private one signs too.

    Raises:
        ConfigurationError: It is no such key, RSA is shorter than 2048 bits, the curve is another
            algorithm's, or the kid is unusable.
    """
    return _prepared(pem, alg, kid)


def prepare_jwk(found: object, *, default_alg: str | None = None) -> PreparedKey:
    """A key that verifies, from a JSON Web Key (RFC 7517 section 4); private parts are not read.

    Raises:
        ConfigurationError: It is none for signatures by RS256 to RS512 or ES256 to ES512, or one
            that `prepare_pem` would refuse.
    """
    if not isinstance(found, dict):
        raise ConfigurationError("a JSON Web Key is an object")
    entry = cast("dict[str, Any]", found)
    operations = entry.get("key_ops", ["verify"])
    if (
        entry.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "verify" not in operations
    ):
        raise ConfigurationError("the JSON Web Key is not for signatures")
    public = {name: entry[name] for name in _PUBLIC_MEMBERS if name in entry}
    return _prepared(public, entry.get("alg", default_alg), entry.get("kid"))


def _prepared(form: Any, alg: str | None, kid: str | None) -> PreparedKey:
    if alg not in PAIR_ALGORITHMS:
        raise ConfigurationError(f"alg={alg!r} is not one of {list(PAIR_ALGORITHMS)}")
    key = _constructed(form, alg)
    # jose puts whatever key the PEM holds behind any algorithm.
    match getattr(key, "prepared_key", None):
        case rsa.RSAPublicKey() | rsa.RSAPrivateKey() as found if alg in RSA_ALGORITHMS:
            if found.key_size < MIN_RSA_BITS:
                raise ConfigurationError(
                    f"the key is RSA of {found.key_size} bits; use {MIN_RSA_BITS} or more"
                )
        case ec.EllipticCurvePublicKey() | ec.EllipticCurvePrivateKey() as found if (
            alg in EC_CURVES
        ):
            if found.curve.name != EC_CURVES[alg]:
                raise ConfigurationError(
                    f"the key is on curve {found.curve.name}; {alg} needs {EC_CURVES[alg]}"
                )
        case _:
            raise ConfigurationError(
                f"the key is not one for {alg}; give it in PEM, not encrypted and no certificate"
            )
    return PreparedKey(_checked_kid(kid), alg, key.public_key(), None if key.is_public() else key)


def _constructed(form: Any, alg: str) -> Any:
    try:
        raw = form.encode() if isinstance(form, str) else form
        # A certificate ends; nobody here would notice.
        return None if b"CERTIFICATE" in raw else jwk.construct(raw, alg)
    except Exception:  # noqa: BLE001  # jose raises many kinds, and their texts may hold the key
        return None


def is_kid(value: object) -> bool:
    """Whether this can name a key: a short, printable string."""
    return isinstance(value, str) and 0 < len(value) <= MAX_KID_LENGTH and value.isprintable()


def _checked_kid(kid: str | None) -> str | None:
    if kid is None or is_kid(kid):
        return kid
    raise ConfigurationError(
        f"kid={kid!r} is not a string of 1 to {MAX_KID_LENGTH} printable characters"
    )


def sign(claims: Mapping[str, object], key: PreparedKey, *, typ: str) -> str:
    """A token with these claims, its header naming type, algorithm and key.

    Raises:
        ConfigurationError: The key only verifies.
    """
    if key.signing is None:
        raise ConfigurationError(
            f"the key kid={key.kid!r} is public; signing needs the private one"
        )
    header = {"typ": typ} if key.kid is None else {"typ": typ, "kid": key.kid}
    payload = json.dumps(claims, separators=(",", ":"), allow_nan=False).encode()
    token: str = jws.sign(payload, key.signing, headers=header, algorithm=key.alg)
    return token


class Verifier:
    """Knows the tokens that one of these keys has signed.

    Args:
        keys: With a ``kid`` each; one may be without.
        typ: The only type that is accepted, in lower case (RFC 8725 section 3.11); also with
            ``application/`` before it (RFC 7515 section 4.1.9).

    Raises:
        ConfigurationError: Two keys have one ``kid``. Were one of them HMAC and the other not, a
            token could choose how its signature is checked (RFC 8725 section 2.1).
    """

    def __init__(self, keys: Iterable[PreparedKey], *, typ: str) -> None:
        self._keys: dict[tuple[str | None, str], PreparedKey] = {}
        self._typ = typ
        kids: set[str | None] = set()
        for key in keys:
            if key.kid in kids:
                raise ConfigurationError(f"two keys have kid={key.kid!r}; give each its own")
            kids.add(key.kid)
            self._keys[key.kid, key.alg] = key
        # All our tokens share one header, so it is read once. Refusals are not kept.
        self._key_of = lru_cache(maxsize=64)(self._read_header)

    def verify(self, token: object) -> dict[str, Any]:
        """The claims of a token that was signed by one of the keys; not judged yet.

        Raises:
            Refusal: Whatever else it is.
        """
        signed, header, payload, signature = split(token)
        key = self._key_of(header)
        claims, found = decode_segment(payload), decode_segment(signature)
        try:
            fits = key.verifying.verify(signed, found)
        except Exception:  # noqa: BLE001  # whatever jose raises, the token is not signed by us
            fits = False
        if fits is not True:
            raise Refusal("the signature does not fit")
        return decode_object(claims, "payload")

    def _read_header(self, segment: bytes) -> PreparedKey:
        # Never a key from `jku`, `jwk`, `x5u` or `x5c`: those let the sender bring it along.
        header = decode_object(decode_segment(segment), "header")
        if "crit" in header or "b64" in header:
            raise Refusal("the header asks for an extension that is not supported")
        typ, alg = header.get("typ"), header.get("alg")
        if not isinstance(typ, str) or typ.lower().removeprefix("application/") != self._typ:
            raise Refusal("the token is of another type")
        if not isinstance(alg, str):
            raise Refusal("the header names no algorithm")
        key = self._keys.get((_kid(header), alg))
        if key is None:
            raise Refusal("no key of ours has this kid and algorithm")
        return key


def _kid(header: Mapping[str, object]) -> str | None:
    if "kid" not in header:
        return None
    kid = header["kid"]
    if not isinstance(kid, str) or len(kid) > MAX_KID_LENGTH:
        raise Refusal("the header's kid is not a short string")
    return kid
