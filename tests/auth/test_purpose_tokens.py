"""Tokens for one purpose, and that they are nothing else."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_kit.auth import (
    Auth,
    InvalidTokenError,
    MemoryDenyList,
    TokenIssuer,
    TokenPolicy,
    TokenVerifier,
)
from fastapi_kit.errors import ConfigurationError, ServiceUnavailableError
from tests.auth.accounts import NOW, Accounts, Clock, User, get, make_app, make_auth
from tests.auth.forge import CLAIMS, IAT, ISSUER, forge
from tests.auth.keys import ALGORITHMS, public_ring, ring
from tests.auth.test_denylist import Down
from tests.auth.test_key_rings import b64

HOUR = timedelta(hours=1)
RESET = "password-reset"
HEADER = {"alg": "HS256", "typ": "purpose+jwt"}
PURPOSE_CLAIMS = {**CLAIMS, "aud": f"{ISSUER}#{RESET}"}
ANN = User(1, "ann", password_hash="$argon2id$old")
AUTH = make_auth(Accounts([ANN]))


def bound(value: str | None) -> Callable[[str], Awaitable[str | None]]:
    async def bound_to(subject: str) -> str | None:
        return value

    return bound_to


async def refusal(
    token: Any, caplog: pytest.LogCaptureFixture, purpose: str = RESET, **how: Any
) -> str:
    """Why the log says that the token was refused."""
    caplog.clear()
    auth: Auth[User] = how.pop("auth", AUTH)
    with caplog.at_level("INFO", "fastapi_kit.auth"), pytest.raises(InvalidTokenError):
        await auth.verify_purpose_token(purpose, token, **how)
    assert str(token) not in caplog.text
    return caplog.messages[-1].removeprefix("Purpose token refused: ")


async def test_what_was_issued_is_what_is_read() -> None:
    claims = await AUTH.verify_purpose_token(
        RESET, AUTH.purpose_token(RESET, subject="7", ttl=HOUR)
    )

    assert (claims.purpose, claims.subject) == (RESET, "7")
    assert (claims.issued_at, claims.expires_at) == (NOW, NOW + HOUR)
    assert len(claims.token_id) >= 22


async def test_a_hand_made_token_by_the_rules_is_accepted() -> None:
    token = forge(HEADER, PURPOSE_CLAIMS)

    assert (await AUTH.verify_purpose_token(RESET, token)).token_id == "token-1"


# --- nothing is taken for anything else


async def test_a_purpose_token_is_no_access_token(caplog: Any) -> None:
    token = AUTH.purpose_token(RESET, subject="1", ttl=HOUR)

    with caplog.at_level("INFO", "fastapi_kit.auth"), pytest.raises(InvalidTokenError):
        await AUTH.verify_access_token(token)
    response = await get(make_app(AUTH), "/me", {"Authorization": f"Bearer {token}"})

    assert response.status_code == 401
    assert "of another type" in caplog.text


async def test_an_access_token_has_no_purpose(caplog: Any) -> None:
    token = AUTH.create_access_token(subject="1")

    assert await refusal(token, caplog) == "the token is of another type"


async def test_a_token_of_another_purpose_is_refused(caplog: Any) -> None:
    token = AUTH.purpose_token("email-verification", subject="1", ttl=HOUR)

    assert await refusal(token, caplog) == "aud does not name us"


async def test_the_audiences_differ_too_for_verifiers_that_ignore_the_type(caplog: Any) -> None:
    access, purpose = forge(HEADER, CLAIMS), forge(claims=PURPOSE_CLAIMS)

    assert await refusal(access, caplog) == "aud does not name us"
    with pytest.raises(InvalidTokenError):
        await AUTH.verify_access_token(purpose)


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "refresh+jwt", None, "purpose", "PURPOSE+JW"])
async def test_another_type_is_refused(typ: Any, caplog: Any) -> None:
    token = forge({**HEADER, "typ": typ}, PURPOSE_CLAIMS)

    assert await refusal(token, caplog) == "the token is of another type"


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_purpose_tokens_are_signed_with_the_ring(alg: str) -> None:
    policy = TokenPolicy(issuer="https://login.example", clock=Clock())
    auth = Auth(users=Accounts(), issuer=TokenIssuer(policy, ring(alg)), token_url="/token")

    token = auth.purpose_token(RESET, subject="1", ttl=HOUR)

    assert (await auth.verify_purpose_token(RESET, token)).subject == "1"


@pytest.mark.parametrize(
    ("claim", "value", "reason"),
    [
        ("iss", "other", "iss is not our issuer"),
        ("aud", ISSUER, "aud does not name us"),
        ("aud", None, "aud is neither a string nor a list of strings"),
        ("sub", None, "sub is not a usable string"),
        ("sub", 7, "sub is not a usable string"),
        ("jti", "", "jti is not a usable string"),
        ("iat", None, "iat is not a number"),
        ("exp", "1", "exp is not a number"),
        ("exp", True, "exp is not a number"),
        ("exp", -1, "exp is out of range"),
        ("exp", IAT, "the token has expired"),
        ("nbf", IAT + 1, "the token is not valid yet"),
        ("iat", IAT + 61, "the token was issued in the future"),
    ],
)
async def test_a_claim_that_does_not_hold_is_refused(
    claim: str, value: Any, reason: str, caplog: Any
) -> None:
    token = forge(HEADER, {**PURPOSE_CLAIMS, claim: value})

    assert await refusal(token, caplog) == reason


@pytest.mark.parametrize("extra", [{"crit": ["x"]}, {"b64": False}])
async def test_a_header_with_extensions_is_refused(extra: Any, caplog: Any) -> None:
    assert "extension" in await refusal(forge({**HEADER, **extra}, PURPOSE_CLAIMS), caplog)


async def test_it_expires() -> None:
    clock = Clock()
    auth = make_auth(clock=clock)
    token = auth.purpose_token(RESET, subject="1", ttl=HOUR)

    clock.advance(minutes=59, seconds=59)
    assert await auth.verify_purpose_token(RESET, token)
    clock.advance(seconds=1)
    with pytest.raises(InvalidTokenError):
        await auth.verify_purpose_token(RESET, token)


@pytest.mark.parametrize("purpose", ["", "Password", "a b", "-a", "a-", "a#b", "é", "x" * 65])
async def test_a_purpose_is_a_plain_name(purpose: str) -> None:
    with pytest.raises(ConfigurationError, match="purpose="):
        AUTH.purpose_token(purpose, subject="1", ttl=HOUR)
    with pytest.raises(ConfigurationError, match="purpose="):
        await AUTH.verify_purpose_token(purpose, "x")


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1), timedelta(days=367)])
def test_a_lifetime_out_of_range_is_refused(ttl: timedelta) -> None:
    with pytest.raises(ValueError, match="is not from"):
        AUTH.purpose_token(RESET, subject="1", ttl=ttl)


@pytest.mark.parametrize("subject", ["", "a\nb", 7])
def test_an_unusable_subject_is_refused(subject: Any) -> None:
    with pytest.raises(ValueError, match="printable"):
        AUTH.purpose_token(RESET, subject=subject, ttl=HOUR)


async def test_an_auth_that_only_verifies_has_no_purposes() -> None:
    policy = TokenPolicy(issuer="https://login.example")
    auth = Auth(
        users=Accounts(),
        verifiers=[TokenVerifier(policy, public_ring("ES256"))],
        token_url="/token",
    )

    with pytest.raises(ConfigurationError, match="only verifies"):
        auth.purpose_token(RESET, subject="1", ttl=HOUR)
    with pytest.raises(ConfigurationError, match="only verifies"):
        await auth.verify_purpose_token(RESET, "x")


@given(st.text(max_size=200))
@settings(max_examples=50)
async def test_no_text_is_accepted_or_anything_but_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        await AUTH.verify_purpose_token(RESET, text)


# --- bound to what its use changes


async def test_a_reset_holds_until_the_password_has_changed(caplog: Any) -> None:
    user = User(1, "ann", password_hash="$argon2id$old")
    auth = make_auth(Accounts([user]))
    token = auth.purpose_token(RESET, subject="1", ttl=HOUR, bound_to=user.password_hash)

    assert await auth.verify_purpose_token(RESET, token, bound_to=auth.password_hash_of)
    user.password_hash = "$argon2id$new"

    assert (
        await refusal(token, caplog, auth=auth, bound_to=auth.password_hash_of)
        == "what the token was bound to has changed"
    )


@pytest.mark.parametrize(
    "user",
    [
        User(1, "ann", password_hash="h", active=False),
        User(1, "ann", password_hash=None),
        User(2, "bob", password_hash="h"),
    ],
)
async def test_who_is_gone_inactive_or_without_password_resets_nothing(
    user: User, caplog: Any
) -> None:
    auth = make_auth(Accounts([user]))
    token = auth.purpose_token(RESET, subject="1", ttl=HOUR, bound_to="h")

    assert "not bound as it should be" in await refusal(
        token, caplog, auth=auth, bound_to=auth.password_hash_of
    )


async def test_a_bound_token_is_refused_where_nobody_asks_to_what(caplog: Any) -> None:
    """Else a forgotten argument would make it good for any number of uses."""
    token = AUTH.purpose_token(RESET, subject="1", ttl=HOUR, bound_to="h")

    assert await refusal(token, caplog) == "the token is bound to something"


async def test_an_unbound_token_is_refused_where_a_bound_one_is_asked(caplog: Any) -> None:
    token = AUTH.purpose_token(RESET, subject="1", ttl=HOUR)

    assert "not bound" in await refusal(token, caplog, bound_to=bound("h"))


@pytest.mark.parametrize("value", [None, 1, True, [], "", "é", "AAAA"])
async def test_a_binding_of_another_form_is_refused(value: Any, caplog: Any) -> None:
    token = forge(HEADER, {**PURPOSE_CLAIMS, "bound": value})

    assert "bound" in await refusal(token, caplog, bound_to=bound("h"))
    assert "bound" in await refusal(token, caplog)


async def test_it_may_be_bound_to_any_text() -> None:
    for text in ("", "é", "\ud800", "x" * 10_000):
        token = AUTH.purpose_token(RESET, subject="1", ttl=HOUR, bound_to=text)

        assert await AUTH.verify_purpose_token(RESET, token, bound_to=bound(text))


def test_two_tokens_do_not_tell_that_they_are_bound_to_the_same() -> None:
    one, two = (
        AUTH.purpose_token(RESET, subject="1", ttl=HOUR, bound_to="the hash") for _ in range(2)
    )

    assert claim(one, "bound") != claim(two, "bound")
    assert "the hash" not in str(claim(one, "bound"))


def claim(token: str, name: str) -> Any:
    return json.loads(b64(token.split(".")[1]))[name]


async def test_a_store_that_is_down_while_the_binding_is_asked_is_no_yes() -> None:
    async def down(subject: str) -> str | None:
        raise ConnectionError

    token = AUTH.purpose_token(RESET, subject="1", ttl=HOUR, bound_to="h")

    with pytest.raises(ConnectionError):
        await AUTH.verify_purpose_token(RESET, token, bound_to=down)


# --- good for one use


async def test_a_token_for_a_single_use_is_spent(caplog: Any) -> None:
    auth = make_auth(denylist=MemoryDenyList(clock=Clock()))
    token = auth.purpose_token(RESET, subject="1", ttl=HOUR)

    assert await auth.verify_purpose_token(RESET, token, single_use=True)

    assert await refusal(token, caplog, auth=auth, single_use=True) == "the token was used before"


async def test_of_many_at_once_one_succeeds() -> None:
    auth = make_auth(denylist=MemoryDenyList(clock=Clock()))
    token = auth.purpose_token(RESET, subject="1", ttl=HOUR)

    results = await asyncio.gather(
        *(auth.verify_purpose_token(RESET, token, single_use=True) for _ in range(8)),
        return_exceptions=True,
    )

    assert sum(isinstance(result, InvalidTokenError) for result in results) == 7


async def test_a_wrong_token_spends_nothing() -> None:
    auth = make_auth(denylist=MemoryDenyList(clock=Clock()))
    token = auth.purpose_token(RESET, subject="1", ttl=HOUR, bound_to="h")

    for bound_to in (bound("other"), None):
        with pytest.raises(InvalidTokenError):
            await auth.verify_purpose_token(RESET, token, bound_to=bound_to, single_use=True)

    assert await auth.verify_purpose_token(RESET, token, bound_to=bound("h"), single_use=True)


async def test_ended_sessions_leave_purpose_tokens_alone() -> None:
    clock = Clock()
    auth = make_auth(denylist=MemoryDenyList(clock=clock), clock=clock)
    token = auth.purpose_token("email-verification", subject="1", ttl=HOUR)
    clock.advance(seconds=1)
    await auth.end_all_sessions("1")

    assert await auth.verify_purpose_token("email-verification", token)


async def test_a_store_that_is_down_is_503_and_never_a_first_use() -> None:
    auth = make_auth(denylist=Down())
    token = auth.purpose_token(RESET, subject="1", ttl=HOUR)

    with pytest.raises(ServiceUnavailableError):
        await auth.verify_purpose_token(RESET, token, single_use=True)


async def test_a_store_that_does_not_say_that_it_was_first_refuses(caplog: Any) -> None:
    class Silent(MemoryDenyList):
        async def deny(self, jti: str, *, until: Any) -> Any:
            return None

    auth = make_auth(denylist=Silent())
    token = auth.purpose_token(RESET, subject="1", ttl=HOUR)

    assert "used before" in await refusal(token, caplog, auth=auth, single_use=True)


async def test_a_single_use_needs_a_deny_list() -> None:
    token = AUTH.purpose_token(RESET, subject="1", ttl=HOUR)

    with pytest.raises(ConfigurationError, match="no deny list"):
        await AUTH.verify_purpose_token(RESET, token, single_use=True)
