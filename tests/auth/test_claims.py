"""Every claim in every wrong type, and the rules that `test_tokens` does not have yet."""

import json
from typing import Any

import pytest

from tests.auth.accounts import NOW, make_auth
from tests.auth.forge import CLAIMS, HEADER, IAT, ISSUER, forge, with_claims
from tests.auth.test_tokens import AUTH, refusal

DAY = 24 * 3600
WRONG: dict[str, list[Any]] = {
    "iss": [None, True, 0, 1.5, [ISSUER], {"iss": ISSUER}, "", ISSUER + "/", ISSUER.upper()],
    "aud": [None, True, 0, 1.5, {}, {ISSUER: 1}, [], [None], [1], [[ISSUER]], "", ISSUER + " "],
    "sub": [None, True, 0, 1, 1.5, ["1"], {}, "", "x" * 256, "a\nb", "a\0", "\u202e1", "\ud800"],
    "jti": [None, True, 0, 1, 1.5, ["a"], {}, "", "x" * 256, "a\nb", "a\0", "\u202e1", "\ud800"],
    "client_id": [None, True, 0, 1.5, ["a"], {}, "", "x" * 256, "a\nb"],
    "iat": [None, True, False, "1", "", [], {}, -1, -0.5, 253402300800, 10**400],
    "exp": [None, True, False, "1", "", [], {}, -1, -0.5, 253402300800, 10**400],
    "nbf": [None, True, False, "1", "", [], {}, -1, -0.5, 253402300800, 10**400],
    "auth_time": [None, True, False, "1", "", [], {}, -1, -0.5, 253402300800, 10**400],
    "iat_us": [None, True, "1", [], -1, 1_000_000, 0.5, 10**400],
    "scope": [
        None,
        True,
        0,
        1.5,
        ["a"],
        {},
        "",
        " ",
        "a  b",
        "a ",
        " a",
        "a\tb",
        'a"b',
        "a\\b",
        "é",
    ],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
async def test_a_claim_of_a_wrong_type_or_form_is_refused(
    name: str, value: Any, caplog: Any
) -> None:
    assert name in await refusal(with_claims(**{name: value}), caplog)


@pytest.mark.parametrize("name", ["iat", "exp", "nbf", "auth_time"])
@pytest.mark.parametrize("number", ["1e999", "-1e999", "9007199254740993", "1e400", "-0.0000001"])
async def test_a_number_that_is_none_is_refused(name: str, number: str, caplog: Any) -> None:
    text = json.dumps({**CLAIMS, name: "?"}).replace('"?"', number)

    assert await refusal(forge(claims=text.encode()), caplog) == f"{name} is out of range"


@pytest.mark.parametrize("name", ["iat", "exp", "nbf", "auth_time"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "0x10", "01", "+1", "1_000"])
async def test_a_number_that_json_does_not_have_is_refused(
    name: str, number: str, caplog: Any
) -> None:
    text = json.dumps({**CLAIMS, name: "?"}).replace('"?"', number)

    assert await refusal(forge(claims=text.encode()), caplog) == "the payload is not strict JSON"


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": IAT + 0.001},
        {"exp": IAT + 366 * DAY},
        {"exp": IAT + 366 * DAY + 1},
        {"iat": IAT + 60},
        {"iat": IAT - 300 * DAY},
        {"nbf": IAT},
        {"nbf": 0},
        {"iat": 0, "exp": IAT + 60, "nbf": IAT - 0.5} | {"iat": IAT - 365 * DAY},
        {"sub": "x" * 255},
        {"sub": "é"},
        {"jti": "x" * 255},
        {"aud": [ISSUER]},
        {"aud": ["other", ISSUER, "third"]},
        {"client_id": "a client"},
        {"auth_time": 0},
        {"auth_time": IAT + 60},
        {"scope": "a"},
        {"scope": "!~ #[]"},
        {"unknown": {"deep": [1, None]}},
        {"roles": ["admin"]},
    ],
)
async def test_a_claim_just_within_the_rules_is_accepted(claims: dict[str, Any]) -> None:
    assert (await AUTH.verify_access_token(with_claims(**claims))).verified_at == NOW


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": IAT}, "the token has expired"),
        ({"exp": IAT + 366 * DAY + 2}, "the token lives too long"),
        ({"iat": 0}, "the token lives too long"),
        ({"iat": IAT + 60.001, "exp": IAT + 90}, "the token was issued in the future"),
        ({"iat": IAT + 60, "exp": IAT + 59}, "the token expired before it was issued"),
        ({"nbf": IAT + 0.001}, "the token is not valid yet"),
        ({"auth_time": IAT + 60.001}, "the log-in is in the future"),
    ],
)
async def test_a_claim_just_outside_the_rules_is_refused(
    claims: dict[str, Any], reason: str, caplog: Any
) -> None:
    assert await refusal(with_claims(**claims), caplog) == reason


@pytest.mark.parametrize("space", [" ", "\n", "\t", "\r\n"])
async def test_space_around_the_claims_is_json_too(space: str) -> None:
    claims = space + json.dumps(CLAIMS) + space

    assert await AUTH.verify_access_token(forge(claims=claims.encode()))


@pytest.mark.parametrize(
    "around", ["{}x", "x{}", "{}{{}}", "\ufeff{}", "\x0b{}", "{}\x00", "\u00a0{}", "[{}]", '"{}"']
)
async def test_anything_else_around_the_claims_is_refused(around: str, caplog: Any) -> None:
    claims = around.format(json.dumps(CLAIMS)).encode()

    assert (await refusal(forge(claims=claims), caplog)).startswith("the payload is not")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("part", ["header", "claims"])
async def test_another_encoding_than_utf_8_is_refused(
    encoding: str, part: str, caplog: Any
) -> None:
    header = json.dumps(HEADER).encode(encoding) if part == "header" else HEADER
    claims = json.dumps(CLAIMS).encode(encoding) if part == "claims" else CLAIMS

    assert "is not strict JSON" in await refusal(forge(header, claims), caplog)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[{", b'{"a":['])
@pytest.mark.parametrize("depth", [500, 1500, 4000])
async def test_deep_nesting_is_refused_before_and_after_the_signature(
    opening: bytes, depth: int, caplog: Any
) -> None:
    deep = (opening * depth)[:4000]

    assert "header is not strict JSON" in await refusal(forge(deep), caplog)
    assert "payload is not strict JSON" in await refusal(forge(claims=deep), caplog)


async def test_a_key_twice_is_refused_at_any_depth(caplog: Any) -> None:
    for text in ('{"a":1,"a":1}', '{"x":{"a":1,"a":2}}', '{"x":[{"a":1,"a":2}]}'):
        assert "is not strict JSON" in await refusal(forge(claims=text.encode()), caplog)


async def test_our_own_tokens_say_what_rfc_9068_wants() -> None:
    auth = make_auth()
    claims = await auth.verify_access_token(
        auth.create_access_token(subject="1", scopes=["items:read"], auth_time=NOW)
    )

    assert claims.issuer == ISSUER
    assert claims.auth_time == NOW
    assert claims.login_age is not None


async def test_the_age_of_a_log_in_is_unknown_where_the_token_does_not_tell() -> None:
    assert (await AUTH.verify_access_token(forge())).login_age is None


LURES: dict[str, Any] = {
    "jku": "https://evil.example/keys",
    "jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    "x5u": "https://evil.example/cert",
    "x5c": ["MIIB"],
    "x5t": "AAAA",
    "x5t#S256": "AAAA",
    "cty": "JWT",
    "zip": "DEF",
    "enc": "A256GCM",
    "apu": "x",
    "url": "https://evil.example",
}


@pytest.mark.parametrize("name", LURES)
async def test_what_a_header_brings_along_changes_nothing(name: str, caplog: Any) -> None:
    """With our signature the member is ignored; it never makes another signature good."""
    header = {**HEADER, name: LURES[name]}

    assert await AUTH.verify_access_token(forge(header))
    assert await refusal(forge(header, secret="x" * 32), caplog) == "the signature does not fit"


@pytest.mark.parametrize(
    "kid",
    [
        "../../dev/null",
        "/etc/passwd",
        "file:///dev/null",
        "a' UNION SELECT 'x' --",
        "| touch /tmp/x",
        "${jndi:ldap://evil.example}",
        "%00",
        "\0",
        "\n",
        "a\r\nX-Header: 1",
        "\ud800",
        "é",
        "__class__",
        "None",
        "",
        "x" * 128,
    ],
)
async def test_a_hostile_kid_is_only_a_key_that_we_do_not_have(kid: str, caplog: Any) -> None:
    token = forge({**HEADER, "kid": kid}, secret="x" * 32)

    assert await refusal(token, caplog) == "no key of ours has this kid and algorithm"
