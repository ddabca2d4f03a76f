"""The outer form of a token: JWS compact serialisation (RFC 7515 section 7.1), read strictly."""

import json
from binascii import a2b_base64, b2a_base64
from typing import Any, NoReturn, cast

from fastapi_kit.auth.refusal import Refusal

__all__ = ["MAX_TOKEN_LENGTH", "decode_object", "decode_segment", "split"]

MAX_TOKEN_LENGTH = 8 * 1024
"""Bytes; the usual limit of servers for one header line."""

_JSON_SPACE = " \t\r\n"
"""RFC 8259 section 2."""
_FORM = "the token is not three canonical base64url segments"
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def split(token: object) -> tuple[bytes, bytes, bytes, bytes]:
    """What a token's signature covers, and its segments: header, payload, signature.

    Raises:
        Refusal: It is not a string of three parts, 8 KiB at most, in ASCII.
    """
    if not isinstance(token, str):
        raise Refusal("the token is not a string")
    if len(token) > MAX_TOKEN_LENGTH:
        raise Refusal("the token is too long")
    if not token.isascii():
        raise Refusal(_FORM)
    signed, _, signature = token.encode().rpartition(b".")
    header, _, payload = signed.partition(b".")
    if b"." in payload:
        raise Refusal(_FORM)
    return signed, header, payload, signature


def decode_segment(segment: bytes) -> bytes:
    """The bytes that a segment stands for.

    Raises:
        Refusal: It is empty, or not the one spelling of its bytes: base64url without padding whose
            spare bits are zero (RFC 4648 section 3.5). Of a token with two spellings, the second
            could pass where the first is known.
    """
    try:
        data = a2b_base64(segment.translate(_TO_STANDARD) + b"==")
    except ValueError:
        raise Refusal(_FORM) from None
    # `a2b_base64` forgives much; encoding again finds all of it.
    spelling = b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL_SAFE)
    if not data or spelling != segment:
        raise Refusal(_FORM)
    return data


def decode_object(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object, read strictly.

    Raises:
        Refusal: It is not UTF-8, not JSON, not an object, nested too deeply, or holds a name twice,
            NaN or an infinity.
    """
    try:
        text = data.decode().strip(_JSON_SPACE)
        value: object
        value, end = _DECODER.raw_decode(text)
        if end != len(text):
            raise ValueError("something follows")  # noqa: TRY301  # as the decoder itself would
    # RecursionError: deep nesting. ValueError: bad UTF-8, bad JSON, our own two rules, and integers
    # of more digits than Python converts.
    except (ValueError, RecursionError):
        raise Refusal(f"the {what} is not strict JSON") from None
    if not isinstance(value, dict):
        raise Refusal(f"the {what} is not a JSON object")
    return cast("dict[str, Any]", value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
