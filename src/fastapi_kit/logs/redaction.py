"""Keeps secrets out of log lines, by the names that they go under and by their shape."""

import re
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import unquote_plus

from fastapi_kit._json import JSONValue, plain, text

REDACTED = "[redacted]"

# Compared without case and punctuation: access_token, accessToken and X-Access-Token are one name.
_SECRET_NAMES = frozenset(
    {"auth", "bearer", "code", "jwt", "key", "otp", "pass", "pwd", "session", "sid", "sig"}
)
# Anywhere in a name: password_confirmation, passwords, password_hash.
_SECRET_PARTS = ("passphrase", "passwd", "password", "secret")
_SECRET_ENDINGS = (
    "accesskey",
    "apikey",
    "assertion",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "encryptionkey",
    "privatekey",
    "sessionid",
    "signature",
    "signingkey",
    "token",
)
_PUNCTUATION = re.compile(r"[\W_]+")

# Each alternative reads a text once from left to right: clients choose what stands in it.
_SECRET_SHAPES = re.compile(
    # A JSON Web Token anywhere.
    r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]++(?:\.[\w-]*+)*+"
    # What follows an authentication scheme's name.
    r"|(?<=\bbearer )[\w.~+/=-]{16,}"
    r"|(?<=\bbasic )[\w+/-]{8,}={0,2}"
    # A password's hash, as drivers write the values of statements at DEBUG.
    r"|\$(?:argon2\w{1,2}|2[abxy]|pbkdf2(?:-\w+)?|scrypt)\$[\w./+$=,-]++"
    # A parameter of a URL; whether it is secret tells its name.
    r"|(?P<before>[?&;])(?P<name>[^=?&;\s\"'\\]++)=(?P<value>[^?&\s\"'\\]++)"
    # The password in a URL such as a database's.
    r"|(?<=://)(?P<user>[^\s/?#@:]*+:)[^\s/@]++(?=@)"
    # A member of a repr or of JSON within a text: 'password': 'x', token="x".
    r"|(?P<key>(?:(?:passwd|password|passphrase|secret)\w{0,24}+|token|authorization|cookie"
    r"|(?:access|api|private|signing)_?key)"
    r"\\?[\"']?\s*+[:=]\s*+b?)(?P<quote>\\?[\"']).*?(?:(?<!\\)(?P=quote)|$)"
    # A header line.
    r"|(?P<header>\b(?:authorization|cookie|x-api-key):\s*+)[^\s\"'][^\r\n\"']*+"
    # Pydantic's and FastAPI's validation errors show what was sent.
    r"|(?<=\binput_value=).{1,200}?(?=, input_type=\w+[\],])"
    r"|(?<='input': ).*$",
    re.IGNORECASE | re.MULTILINE,
)
# What each of them contains; to look for it costs a tenth.
_HINT = re.compile(r"[:=$]|eyJ|(?:bearer|basic) ", re.IGNORECASE)


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether a field, header or parameter of this name holds a secret."""
    bare = _PUNCTUATION.sub("", name.lower()).rstrip("0123456789")
    if bare in _SECRET_NAMES or bare.endswith(_SECRET_ENDINGS):
        return True
    return any(part in bare for part in _SECRET_PARTS)


def redact_text(value: str) -> str:
    """The text without secrets that are recognised by their shape."""
    return _SECRET_SHAPES.sub(_redacted, value) if _HINT.search(value) else value


def _redacted(found: re.Match[str]) -> str:
    if found["name"] is not None:
        if _is_secret_parameter(found) or _holds_secret(found["value"]):
            return f"{found['before']}{found['name']}={REDACTED}"
        return found[0]
    quote = found["quote"] or ""
    before = found["user"] or found["key"] or found["header"] or ""
    return f"{before}{quote}{REDACTED}{quote}"


def _is_secret_parameter(found: re.Match[str]) -> bool:
    return is_secret(unquote_plus(found["name"]))


def _holds_secret(value: str) -> bool:
    """Whether a parameter's value, still percent-encoded, holds a secret, such as a URL with one."""
    decoded = unquote_plus(value)
    return _HINT.search(decoded) is not None and any(
        found["name"] is None or _is_secret_parameter(found)
        for found in _SECRET_SHAPES.finditer(decoded)
    )


def loggable(value: object) -> JSONValue:
    """The value as JSON for a log line, without secrets."""
    return plain(value, redact=is_secret, clean=_clean)


def _clean(value: str) -> str:
    return redact_text(text(value))


def redact_query(query: str, also: Collection[str] = ()) -> str:
    """The query string with the values of secret parameters replaced, and nothing else changed.

    Args:
        query: As sent, still percent-encoded.
        also: Further parameter names, in lower case.
    """
    return "&".join(_redact_pair(pair, also) for pair in query.split("&"))


def _redact_pair(pair: str, also: Collection[str]) -> str:
    name, equals, value = pair.partition("=")
    plain_name = unquote_plus(name)
    if not equals:
        return REDACTED if _holds_secret(name) else pair
    if plain_name.lower() in also or is_secret(plain_name) or _holds_secret(value):
        return f"{name}={REDACTED}"
    return pair
