"""Cursors: a position in a listing, signed, so that it fits nothing but this listing."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from pydantic import SecretBytes, SecretStr

from fastapi_kit.errors import BadRequestError, ConfigurationError
from fastapi_kit.pagination.position import Position
from fastapi_kit.pagination.values import from_json, to_json

Secret = SecretStr | SecretBytes | str | bytes

_MAC_BYTES: Final = 12  # 96 bits; a guess is right once in 10**28 requests
_MIN_KEY_BYTES: Final = 32
_PURPOSE: Final = b"fastapi-kit page"  # so that a key which signs other things signs no cursors


class InvalidCursorError(BadRequestError):
    """The cursor is damaged, or belongs to another listing, sort order or filter."""

    type = "/problems/invalid-cursor"
    title = "Invalid cursor"
    default_detail = "The cursor does not belong to this listing; start again without one."


@dataclass(frozen=True)
class CursorSigner:
    """Signs cursors, and tells its own from all others.

    Args:
        key: 32 bytes or more that nobody can guess; text counts as UTF-8. A key that also signs
            tokens will do: what is signed here counts nowhere else.
        previous: Keys that signed until now, so that cursors which clients hold still count.

    Raises:
        ConfigurationError: A key is too short. The message never holds it.
    """

    key: Secret = field(repr=False)
    previous: Secret | Sequence[Secret] = field(default=(), repr=False)
    _macs: list[blake2b] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = self.previous
        previous = (given,) if isinstance(given, Secret) else tuple(given)
        object.__setattr__(self, "previous", previous)
        macs = [_keyed(key) for key in (self.key, *previous)]
        object.__setattr__(self, "_macs", macs)

    def sign(self, payload: bytes, context: bytes) -> str:
        """Give a cursor of the payload that counts in this context only.

        Args:
            payload: Readable by whoever decodes the cursor, and not to be changed by them.
            context: What the cursor is bound to; not a part of it.
        """
        mac = _mac(self._macs[0], payload, context)
        return urlsafe_b64encode(mac + payload).rstrip(b"=").decode()

    def verify(self, cursor: str, context: bytes) -> bytes:
        """Give the payload of a cursor.

        Raises:
            InvalidCursorError: It was not made by one of these keys in this context.
        """
        mac, payload = _split(cursor)
        for keyed in self._macs:
            if compare_digest(mac, _mac(keyed, payload, context)):
                return payload
        raise InvalidCursorError


def _keyed(key: Secret) -> blake2b:
    raw = key.get_secret_value() if isinstance(key, SecretStr | SecretBytes) else key
    raw = raw.encode() if isinstance(raw, str) else raw
    if len(raw) < _MIN_KEY_BYTES:
        raise ConfigurationError(
            f"the key of CursorSigner has {len(raw)} bytes; use {_MIN_KEY_BYTES} or more; "
            "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    short = blake2b(raw, digest_size=blake2b.MAX_KEY_SIZE).digest()
    return blake2b(key=short, digest_size=_MAC_BYTES, person=_PURPOSE)


def _mac(keyed: blake2b, payload: bytes, context: bytes) -> bytes:
    mac = keyed.copy()
    # Of one length, so that no context and payload read as another pair.
    mac.update(blake2b(context, digest_size=32).digest())
    mac.update(payload)
    return mac.digest()


def _split(cursor: str) -> tuple[bytes, bytes]:
    try:
        text = cursor.encode("ascii")
        raw = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, NotBase64):
        raise InvalidCursorError from None
    # Python skips letters that are not of the alphabet, and spare bits at the end.
    if urlsafe_b64encode(raw).rstrip(b"=") != text:
        raise InvalidCursorError
    return raw[:_MAC_BYTES], raw[_MAC_BYTES:]


def pack(position: Position) -> bytes:
    """Give the position as a cursor's payload."""
    way = position.backward + 2 * position.inclusive
    packed = json.dumps(
        [way, *position.values], default=to_json, separators=(",", ":"), ensure_ascii=False
    )
    return packed.encode("utf-8", "surrogatepass")


def unpack(payload: bytes) -> Position:
    """Give the position that `pack` made a payload of."""
    way, *values = json.loads(payload.decode("utf-8", "surrogatepass"))
    return Position(tuple(map(from_json, values)), backward=bool(way & 1), inclusive=bool(way & 2))
