"""Rings of keys: one that signs, others whose tokens still hold."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from fastapi_kit.auth._jose import PreparedKey, prepare_hmac, prepare_jwk, prepare_pem
from fastapi_kit.auth.secret import Secret
from fastapi_kit.errors import ConfigurationError

__all__ = ["KeyRing"]


class KeyRing:
    """The keys of one issuer: one signs, and each verifies what it has signed.

    Build it with `from_secret`, `from_pem` or `from_jwks`. To change the key, make a new one with a kid of its
    own and retire the old one, which then verifies only; drop it when its last token has expired.
    With other services that read the public keys, retire the *new* one first (``retired`` means no
    more than that it does not sign), and let it sign when all of them have read it.

    A ring made from a public key alone verifies, and cannot sign: that is for services which only
    read tokens. With a secret, whoever can verify can also sign.

    Args:
        keys: Prepared by the constructors.
        signing: The one of them that signs; ``None`` for a ring that only verifies.

    Raises:
        ConfigurationError: Two keys have one kid (RFC 8725 section 2.1: a token could choose how
            its signature is checked).
    """

    def __init__(self, keys: Iterable[PreparedKey], *, signing: PreparedKey | None) -> None:
        self._keys = tuple(keys)
        self._signing = signing
        kids = [key.kid for key in self._keys]
        if twice := [kid for kid in kids if kids.count(kid) > 1]:
            raise ConfigurationError(f"two keys have kid={twice[0]!r}; give each its own")

    @classmethod
    def from_secret(
        cls,
        kid: str | None,
        secret: Secret,
        *,
        alg: str = "HS256",
        retired: Mapping[str, Secret] | None = None,
    ) -> "KeyRing":
        """A ring whose tokens are signed with a secret (RFC 7518 section 3.2).

        Args:
            kid: The key's name, told in each token (RFC 7515 section 4.1.4): 1 to 128 printable
                characters. ``None`` names no key, as ``Auth.from_secret`` does.
            secret: Random bytes, as ``pydantic.SecretStr``, str or bytes: 32 or more for HS256, 48
                for HS384, 64 for HS512.
            alg: HS256, HS384 or HS512.
            retired: Kid to secret of keys of the same algorithm that verify only.

        Raises:
            ConfigurationError: A secret is too short or is a key of another kind, or a kid or the
                algorithm is unusable. The message never holds a secret.
        """
        signing = prepare_hmac(secret, alg, kid=kid)
        others = [prepare_hmac(old, alg, kid=name) for name, old in (retired or {}).items()]
        return cls([signing, *_verifying(others)], signing=signing)

    @classmethod
    def from_pem(
        cls,
        kid: str | None,
        pem: str | bytes,
        *,
        alg: str,
        retired: Mapping[str, str | bytes] | None = None,
    ) -> "KeyRing":
        """A ring of RSA or EC keys (RFC 7518 sections 3.3 and 3.4).

        Args:
            kid: The key's name, told in each token (RFC 7515 section 4.1.4): 1 to 128 printable
                characters, for example the month. ``None`` names no key.
            pem: A private key in PEM, not encrypted; or a public one, for a ring that verifies only.
            alg: RS256, RS384 or RS512 for RSA of 2048 bits or more; ES256 for P-256, ES384 for
                P-384, ES512 for P-521.
            retired: Kid to PEM, public or private, of keys of the same algorithm that verify only.

        Raises:
            ConfigurationError: A key is no such key, is too short or on another curve, or a kid or
                the algorithm is unusable. The message never holds a key.
        """
        key = prepare_pem(pem, alg, kid=kid)
        others = [prepare_pem(old, alg, kid=name) for name, old in (retired or {}).items()]
        signing = None if key.signing is None else key
        return cls([key, *_verifying(others)], signing=signing)

    @classmethod
    def from_jwks(cls, jwks: Mapping[str, Any], *, default_alg: str | None = None) -> "KeyRing":
        """A ring that only verifies, by the public keys of another service (RFC 7517 section 5).

        Keys that are not for signatures, or are of a kind or strength that `from_pem` would refuse,
        are left out, as section 5 wants it; secrets and private parts are never read. Fetch the set
        over https, from an address that you have chosen: whoever writes it can be any user.

        Args:
            jwks: The parsed document, such as `jwks_router` serves.
            default_alg: The algorithm of keys that do not name theirs; ``None`` leaves them out.

        Raises:
            ConfigurationError: It is no key set, no key in it is of use, or two have one kid.
        """
        entries: object = jwks.get("keys")
        if not isinstance(entries, list):
            raise ConfigurationError("the JSON Web Key Set has no list of 'keys'")
        found = [
            key
            for entry in cast("list[object]", entries)
            if (key := _usable(entry, default_alg)) is not None
        ]
        if not found:
            raise ConfigurationError(
                "the JSON Web Key Set has no RSA or EC key for signatures whose algorithm is known; "
                "give default_alg= if its keys name none"
            )
        return cls(found, signing=None)

    def with_retired(self, other: "KeyRing") -> "KeyRing":
        """This ring, verifying also by the keys of another: for a change of algorithm.

        Raises:
            ConfigurationError: Both have a key with the same kid.
        """
        return KeyRing([*self._keys, *_verifying(other._keys)], signing=self._signing)

    @property
    def keys(self) -> tuple[PreparedKey, ...]:
        """All keys, the first one made first; their repr shows no key."""
        return self._keys

    @property
    def signing(self) -> PreparedKey:
        """The key that signs.

        Raises:
            ConfigurationError: This ring only verifies.
        """
        if self._signing is None:
            raise ConfigurationError(
                f"{self!r} holds public keys only and cannot sign; give from_pem() the private key"
            )
        return self._signing

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set (RFC 7517 section 5); secrets are never in it."""
        found = [key.public_jwk() for key in self._keys]
        return {"keys": [jwk for jwk in found if jwk is not None]}

    def __repr__(self) -> str:
        names = [f"{key.kid}:{key.alg}" for key in self._keys]
        return f"KeyRing({', '.join(names)}, signs={self._signing is not None})"


def _usable(entry: object, default_alg: str | None) -> PreparedKey | None:
    try:
        return prepare_jwk(entry, default_alg=default_alg)
    except ConfigurationError:
        return None


def _verifying(keys: Iterable[PreparedKey]) -> list[PreparedKey]:
    return [key.verifying_only() for key in keys]
