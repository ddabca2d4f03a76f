"""Which secrets may sign tokens with HMAC."""

import json
import re
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
)
from cryptography.x509 import load_der_x509_certificate
from pydantic import SecretBytes, SecretStr

from fastapi_kit.errors import ConfigurationError

__all__ = ["Secret", "secret_bytes"]

Secret = SecretStr | SecretBytes | str | bytes

_REMEDY = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
_STANDARD_BASE64 = bytes.maketrans(b"-_", b"+/")
_PEM = b"-----BEGIN"
_SSH = re.compile(rb"\s*(ssh-|ecdsa-sha2-|sk-ssh-|sk-ecdsa-)")


def secret_bytes(secret: Secret, *, min_length: int) -> bytes:
    """The secret's bytes, when they are fit for HMAC (RFC 7518 section 3.2, RFC 8725 section 3.5).

    Args:
        secret: Text counts as UTF-8.
        min_length: Bytes; the length of the hash.

    Raises:
        ConfigurationError: It is too short, or is a key of another kind, which others may know.
            The message never holds the secret.
    """
    raw = _raw(secret)
    if len(raw) < min_length:
        raise ConfigurationError(
            f"the secret has {len(raw)} bytes; HMAC needs {min_length} or more; {_REMEDY}"
        )
    if kind := _kind_of_key(raw):
        # A public key as HMAC secret would let everyone who knows it sign tokens.
        raise ConfigurationError(f"the secret is {kind}; HMAC needs random bytes; {_REMEDY}")
    return raw


def _raw(secret: object) -> bytes:
    if isinstance(secret, SecretStr | SecretBytes):
        secret = secret.get_secret_value()
    if isinstance(secret, bytes):
        return secret
    if not isinstance(secret, str):
        raise ConfigurationError(
            f"the secret is of type {type(secret).__name__}; give str, bytes or pydantic.SecretStr"
        )
    try:
        return secret.encode()
    except UnicodeEncodeError:
        raised = ConfigurationError(f"the secret is not valid Unicode text; {_REMEDY}")
    raise raised  # outside of `except`: the first error holds the secret


def _kind_of_key(raw: bytes) -> str | None:
    if _PEM in raw:
        return "a key or certificate in PEM"
    if _SSH.match(raw):
        return "an SSH key"
    if _is_der(raw) or _is_der(_from_base64(raw)):
        return "a key or certificate in DER"
    if _is_jwk(raw):
        return "a JSON Web Key"
    return None


def _from_base64(raw: bytes) -> bytes:
    text = b"".join(raw.split()).translate(_STANDARD_BASE64).rstrip(b"=")
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""


def _is_der(raw: bytes) -> bool:
    loaders: tuple[Callable[[bytes], Any], ...] = (
        load_der_public_key,
        lambda der: load_der_private_key(der, password=None),
        load_der_x509_certificate,
    )
    return raw[:1] == b"\x30" and any(_loads(loader, raw) for loader in loaders)


def _loads(loader: Callable[[bytes], Any], raw: bytes) -> bool:
    try:
        loader(raw)
    except TypeError:
        return True  # an encrypted private key
    except Exception:  # noqa: BLE001  # cryptography raises many kinds: not such a key
        return False
    return True


def _is_jwk(raw: bytes) -> bool:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict | list)
