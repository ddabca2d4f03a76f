"""Which access tokens are accepted: RFC 7515, 7519, 8725 and 9068."""

import json
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastapi_kit.auth import Auth, InvalidTokenError
from tests.auth.accounts import NOW, Clock, User, make_auth
from tests.auth.forge import CLAIMS, HEADER, IAT, ISSUER, encode, forge, with_claims, without_claim

AUTH = make_auth()


async def refusal(token: Any, caplog: pytest.LogCaptureFixture, auth: Auth[User] = AUTH) -> str:
    """Why the log says that the token was refused."""
    caplog.clear()
    with caplog.at_level("INFO", "fastapi_kit.auth"), pytest.raises(InvalidTokenError):
        await auth.verify_access_token(token)
    return caplog.messages[-1].removeprefix("Access token refused: ")


async def test_what_was_issued_is_what_is_read() -> None:
    token = AUTH.create_access_token(
        subject="7", scopes=["items:write", "items:read"], ttl=timedelta(minutes=5)
    )

    claims = await AUTH.verify_access_token(token)

    assert claims.subject == "7"
    assert claims.scopes == {"items:read", "items:write"}
    assert claims.issued_at == NOW
    assert claims.expires_at == NOW + timedelta(minutes=5)


async def test_an_issued_token_follows_rfc_9068() -> None:
    token = AUTH.create_access_token(subject="7", scopes=["items:read"])
    header, payload, _ = token.split(".")

    assert json.loads(b64(header)) == {"alg": "HS256", "typ": "at+jwt"}
    claims = json.loads(b64(payload))
    assert len(claims.pop("jti")) >= 22
    assert claims == {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "7",
        "client_id": ISSUER,
        "iat": IAT,
        "exp": IAT + 1800,
        "scope": "items:read",
    }


def b64(segment: str) -> bytes:
    return urlsafe_b64decode(segment + "==")


async def test_each_token_has_its_own_identifier() -> None:
    one, two = (AUTH.create_access_token(subject="7") for _ in range(2))

    first, second = await AUTH.verify_access_token(one), await AUTH.verify_access_token(two)

    assert first.token_id != second.token_id


async def test_a_hand_made_token_by_the_rules_is_accepted() -> None:
    """The forger makes good tokens, so that what is refused below is refused for its one fault."""
    assert (await AUTH.verify_access_token(forge())).token_id == "token-1"


# --- the form (point 1)


@pytest.mark.parametrize("token", [None, 7, b"a.b.c", ["a.b.c"]])
async def test_what_is_no_string_is_refused(token: Any, caplog: Any) -> None:
    assert await refusal(token, caplog) == "the token is not a string"


async def test_a_token_beyond_8_kib_is_refused(caplog: Any) -> None:
    token = with_claims(filler="x" * 8192)

    assert await refusal(token, caplog) == "the token is too long"


@pytest.mark.parametrize(
    "change",
    [
        lambda t: "",
        lambda t: "..",
        lambda t: t.rsplit(".", 1)[0],
        lambda t: t.rsplit(".", 1)[0] + ".",
        lambda t: t + ".e30",
        lambda t: t + "=",
        lambda t: t + "!!",
        lambda t: t + "\n",
        lambda t: " " + t,
        lambda t: "." + t.split(".", 1)[1],
        lambda t: t.split(".")[0] + ".." + t.split(".")[2],
        lambda t: t.replace("-", "+").replace("_", "/") + "+",
        lambda t: t[:-1] + "é",
        lambda t: t + "\ud800",
        lambda t: t + "AA",
    ],
)
async def test_a_token_of_another_form_is_refused(
    change: Callable[[str], str], caplog: Any
) -> None:
    assert (
        await refusal(change(forge()), caplog)
        == "the token is not three canonical base64url segments"
    )


async def test_a_token_has_one_spelling_spare_bits_are_refused(caplog: Any) -> None:
    token = forge()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(token[-1])
    same_bytes = token[:-1] + alphabet[last ^ 1]  # 43 characters for 32 bytes: 2 bits to spare

    assert b64(same_bytes.split(".")[2]) == b64(token.split(".")[2])
    assert "canonical" in await refusal(same_bytes, caplog)


# --- the header (points 2 and 3)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"alg":"HS256","alg":"none","typ":"at+jwt"}',
        b'{"alg":"HS256","typ":"at+jwt","x":NaN}',
        b'{"alg":"HS256","typ":"at+jwt","x":-Infinity}',
        b'{"alg":"HS256","typ":"at+jwt"} x',
        b'{"alg":"HS256","typ":"at+jwt","x":' + b"9" * 5000 + b"}",
        json.dumps(HEADER).encode("utf-16"),
        b'{"alg":"HS256","typ":"at+jwt","x":{"y":1,"y":2}}',
    ],
)
async def test_a_header_that_is_no_strict_json_is_refused(header: bytes, caplog: Any) -> None:
    token = forge(header) if header else forge(b" ")

    assert await refusal(token, caplog) == "the header is not strict JSON"


async def test_a_deeply_nested_header_is_refused_and_is_no_server_error(caplog: Any) -> None:
    """By itself, jose raises RecursionError, before any signature is checked."""
    token = forge(b"[" * 2500 + b"]" * 2500)

    assert (await refusal(token, caplog)).startswith("the header is not")


@pytest.mark.parametrize("header", [[], "HS256", 1, None, True])
async def test_a_header_that_is_no_object_is_refused(header: Any, caplog: Any) -> None:
    assert await refusal(forge(header), caplog) == "the header is not a JSON object"


@pytest.mark.parametrize(
    "extension", [{"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False}, {"b64": True}]
)
async def test_a_header_with_extensions_is_refused(extension: Any, caplog: Any) -> None:
    assert "extension" in await refusal(forge({**HEADER, **extension}), caplog)


@pytest.mark.parametrize(
    "typ", [None, 1, "JWT", "", "rt+jwt", "at+jwt ", "application/", ["at+jwt"]]
)
async def test_a_token_of_another_type_is_refused(typ: Any, caplog: Any) -> None:
    assert await refusal(forge({**HEADER, "typ": typ}), caplog) == "the token is of another type"


async def test_a_token_without_type_is_refused(caplog: Any) -> None:
    assert await refusal(forge({"alg": "HS256"}), caplog) == "the token is of another type"


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_a_type_may_be_spelt_as_a_media_type(typ: str) -> None:
    assert (await AUTH.verify_access_token(forge({**HEADER, "typ": typ}))).subject == "1"


@pytest.mark.parametrize(
    "lure",
    [
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"jwk": {"kty": "oct", "k": encode(b"the attacker's own thirty-two bytes")}},
        {"x5c": ["MIIB"]},
    ],
)
async def test_a_key_that_the_token_brings_along_is_not_used(lure: Any, caplog: Any) -> None:
    token = forge({**HEADER, **lure}, secret="the attacker's own thirty-two bytes")

    assert await refusal(token, caplog) == "the signature does not fit"


# --- algorithm and key (points 4 and 5)


@pytest.mark.parametrize("alg", ["none", "None", "HS384", "HS512", "RS256", "ES256", "hs256", ""])
async def test_another_algorithm_is_refused(alg: str, caplog: Any) -> None:
    token = forge({**HEADER, "alg": alg})

    assert await refusal(token, caplog) == "no key of ours has this kid and algorithm"


@pytest.mark.parametrize("alg", [None, 1, ["HS256"], {}])
async def test_an_algorithm_that_is_no_string_is_refused(alg: Any, caplog: Any) -> None:
    assert await refusal(forge({**HEADER, "alg": alg}), caplog) == "the header names no algorithm"


@pytest.mark.parametrize("kid", ["other", "../../etc/passwd", "' OR 1=1 --", "x" * 128, ""])
async def test_an_unknown_key_is_refused(kid: str, caplog: Any) -> None:
    token = forge({**HEADER, "kid": kid})

    assert await refusal(token, caplog) == "no key of ours has this kid and algorithm"


@pytest.mark.parametrize("kid", [None, 1, ["a"], {}, "x" * 129])
async def test_a_kid_that_is_no_short_string_is_refused(kid: Any, caplog: Any) -> None:
    assert "kid is not" in await refusal(forge({**HEADER, "kid": kid}), caplog)


async def test_a_token_signed_with_another_secret_is_refused(caplog: Any) -> None:
    token = forge(secret="another secret of thirty-two bytes and more")

    assert await refusal(token, caplog) == "the signature does not fit"


async def test_claims_that_were_changed_are_refused(caplog: Any) -> None:
    header, _, signature = forge().split(".")
    payload = encode(json.dumps({**CLAIMS, "sub": "2"}).encode())

    assert await refusal(f"{header}.{payload}.{signature}", caplog) == "the signature does not fit"


async def test_a_shortened_signature_is_refused(caplog: Any) -> None:
    token = forge().rsplit(".", 1)[0] + ".AAAA"

    assert await refusal(token, caplog) == "the signature does not fit"


async def test_a_header_that_was_good_once_does_not_make_a_signature_good(caplog: Any) -> None:
    """Headers are read once and remembered; every signature is checked."""
    await AUTH.verify_access_token(forge())

    assert await refusal(forge(secret="x" * 32), caplog) == "the signature does not fit"


# --- the claims (point 6)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        (b'{"sub":"1","sub":"2"}', "the payload is not strict JSON"),
        (b'{"exp":NaN}', "the payload is not strict JSON"),
        (b"\xff", "the payload is not strict JSON"),
        (b"[]", "the payload is not a JSON object"),
    ],
)
async def test_a_payload_that_is_no_strict_object_is_refused(
    claims: bytes, reason: str, caplog: Any
) -> None:
    assert await refusal(forge(claims=claims), caplog) == reason


async def test_a_deeply_nested_payload_is_refused_and_is_no_server_error(caplog: Any) -> None:
    token = forge(claims=b"[" * 2500 + b"]" * 2500)

    assert (await refusal(token, caplog)).startswith("the payload is not")


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "jti", "iat", "exp"])
async def test_a_missing_claim_is_refused(name: str, caplog: Any) -> None:
    assert (await refusal(without_claim(name), caplog)).startswith(name)


@pytest.mark.parametrize("iss", [None, "", "other", ISSUER + " ", [ISSUER], 1])
async def test_another_issuer_is_refused(iss: Any, caplog: Any) -> None:
    assert await refusal(with_claims(iss=iss), caplog) == "iss is not our issuer"


@pytest.mark.parametrize("aud", ["", "other", [], ["other"], ISSUER.upper()])
async def test_another_audience_is_refused(aud: Any, caplog: Any) -> None:
    assert await refusal(with_claims(aud=aud), caplog) == "aud does not name us"


@pytest.mark.parametrize("aud", [None, 1, {ISSUER: 1}, [ISSUER, 1], [[ISSUER]]])
async def test_an_audience_of_another_type_is_refused(aud: Any, caplog: Any) -> None:
    assert "neither a string nor a list" in await refusal(with_claims(aud=aud), caplog)


async def test_one_of_several_audiences_may_be_ours() -> None:
    assert await AUTH.verify_access_token(with_claims(aud=["other", ISSUER]))


@pytest.mark.parametrize("name", ["sub", "jti"])
@pytest.mark.parametrize(
    "value", [None, 1, True, "", [], {}, "x" * 256, "a\r\nb", "\x00", "\ud800"]
)
async def test_an_unusable_identifier_is_refused(name: str, value: Any, caplog: Any) -> None:
    assert await refusal(with_claims(**{name: value}), caplog) == f"{name} is not a usable string"


@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
@pytest.mark.parametrize("value", [None, True, False, "1", [], {}])
async def test_a_moment_that_is_no_number_is_refused(name: str, value: Any, caplog: Any) -> None:
    assert await refusal(with_claims(**{name: value}), caplog) == f"{name} is not a number"


@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
@pytest.mark.parametrize(
    "value", [b"-1", b"1e999", b"-1e999", b"9007199254740992", b"1" + b"0" * 400]
)
async def test_a_moment_out_of_range_is_refused(name: str, value: bytes, caplog: Any) -> None:
    claims = (
        json.dumps({**CLAIMS, name: 0})
        .encode()
        .replace(f'"{name}": 0'.encode(), f'"{name}": '.encode() + value)
    )

    assert await refusal(forge(claims=claims), caplog) == f"{name} is out of range"


@pytest.mark.parametrize("age", [0, 1, 1e9])
async def test_a_token_is_refused_from_the_moment_it_expires(age: float, caplog: Any) -> None:
    assert await refusal(with_claims(exp=IAT - age), caplog) == "the token has expired"


async def test_a_token_is_good_until_just_before_it_expires() -> None:
    clock = Clock(NOW + timedelta(seconds=59, milliseconds=999))

    assert await make_auth(clock=clock).verify_access_token(forge())


async def test_leeway_is_added_to_expiry_and_no_more(caplog: Any) -> None:
    clock = Clock(NOW + timedelta(seconds=64, milliseconds=999))
    auth = make_auth(clock=clock, leeway=timedelta(seconds=5))

    assert await auth.verify_access_token(forge())
    clock.advance(milliseconds=1)
    assert await refusal(forge(), caplog, auth) == "the token has expired"


async def test_a_token_is_refused_before_it_is_valid(caplog: Any) -> None:
    assert await refusal(with_claims(nbf=IAT + 1), caplog) == "the token is not valid yet"
    assert await AUTH.verify_access_token(with_claims(nbf=IAT))


async def test_leeway_is_taken_from_not_before() -> None:
    auth = make_auth(leeway=timedelta(seconds=5))

    assert await auth.verify_access_token(with_claims(nbf=IAT + 5))


async def test_a_clock_of_another_host_may_be_a_minute_ahead(caplog: Any) -> None:
    assert await AUTH.verify_access_token(with_claims(iat=IAT + 60))
    late = with_claims(iat=IAT + 61, exp=IAT + 120)
    assert await refusal(late, caplog) == "the token was issued in the future"


async def test_a_token_that_expires_before_its_issue_is_refused(caplog: Any) -> None:
    token = with_claims(iat=IAT + 30, exp=IAT + 20)

    assert await refusal(token, caplog) == "the token expired before it was issued"


@pytest.mark.parametrize("scope", [None, 1, ["items:write"], {}])
async def test_scopes_that_are_no_string_are_refused(scope: Any, caplog: Any) -> None:
    assert await refusal(with_claims(scope=scope), caplog) == "scope is not a string"


@pytest.mark.parametrize("scope", ["", " ", "a  b", " a", "a\tb", 'a"b'])
async def test_scopes_that_are_no_list_are_refused(scope: str, caplog: Any) -> None:
    assert await refusal(with_claims(scope=scope), caplog) == "scope is not a list of scopes"


# --- between services, and with other libraries


async def test_a_service_refuses_the_token_of_another_with_the_same_secret(caplog: Any) -> None:
    token = make_auth(issuer="orders").create_access_token(subject="1")

    assert await refusal(token, caplog, make_auth(issuer="billing")) == "iss is not our issuer"


async def test_issuer_and_audience_may_differ(caplog: Any) -> None:
    auth = make_auth(issuer="login", audience="orders")
    other = make_auth(issuer="login", audience="billing")
    token = auth.create_access_token(subject="1")

    assert await auth.verify_access_token(token)
    assert await refusal(token, caplog, other) == "aud does not name us"


async def test_a_bare_jose_token_is_refused(caplog: Any) -> None:
    """What a tutorial's ``jwt.encode`` makes with our secret is of type JWT and says too little."""
    token = forge({"alg": "HS256", "typ": "JWT"}, {"sub": "1", "exp": IAT + 60})

    assert await refusal(token, caplog) == "the token is of another type"


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1), timedelta(days=367)])
def test_a_lifetime_out_of_range_is_refused_and_zero_is_not_for_ever(ttl: timedelta) -> None:
    with pytest.raises(ValueError, match="is not from"):
        AUTH.create_access_token(subject="1", ttl=ttl)


@pytest.mark.parametrize("subject", ["", 1, "a\nb"])
def test_no_token_is_made_for_an_unusable_subject(subject: Any) -> None:
    with pytest.raises(ValueError, match="printable"):
        AUTH.create_access_token(subject=subject)


def test_no_token_is_made_with_a_scope_that_is_not_declared() -> None:
    with pytest.raises(ValueError, match="not declared"):
        AUTH.create_access_token(subject="1", scopes=["items:fly"])


def test_one_string_is_no_collection_of_scopes() -> None:
    with pytest.raises(TypeError, match="is one string"):
        AUTH.create_access_token(subject="1", scopes="items:write")


def test_a_lifetime_is_counted_on_the_given_clock() -> None:
    clock = Clock(datetime(2030, 1, 1, tzinfo=UTC))
    token = make_auth(clock=clock).create_access_token(subject="1")

    exp = json.loads(b64(token.split(".")[1]))["exp"]

    assert exp == datetime(2030, 1, 1, 0, 30, tzinfo=UTC).timestamp()


# --- only what the issuer made


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: b64encode(raw).decode()))
@settings(max_examples=100)
async def test_no_text_is_accepted_or_anything_but_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        await AUTH.verify_access_token(text)


@given(st.data())
@settings(max_examples=100)
async def test_a_token_with_any_one_character_changed_is_refused(data: st.DataObject) -> None:
    token = forge()
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda c: c != token[place]))

    with pytest.raises(InvalidTokenError):
        await AUTH.verify_access_token(token[:place] + other + token[place + 1 :])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.sampled_from([*CLAIMS, "nbf", "scope"]), json_values)
@example("scope", "one that is accepted")
@settings(max_examples=100)
async def test_no_signed_claim_is_a_server_error(name: str, value: Any) -> None:
    try:
        claims = await AUTH.verify_access_token(with_claims(**{name: value}))
    except InvalidTokenError:
        return
    assert claims.subject
    assert claims.expires_at > NOW


@given(st.sampled_from(["alg", "typ", "kid", "crit", "b64"]), json_values)
@settings(max_examples=100)
async def test_no_header_is_a_server_error(name: str, value: Any) -> None:
    with pytest.raises(InvalidTokenError):
        await AUTH.verify_access_token(forge({**HEADER, name: value}))
