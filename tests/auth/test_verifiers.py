"""Policies, and several verifiers behind one `Auth`."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi import APIRouter

from fastapi_kit.auth import (
    Auth,
    InvalidTokenError,
    KeyRing,
    TokenIssuer,
    TokenPolicy,
    TokenVerifier,
)
from fastapi_kit.errors import ConfigurationError
from tests.auth.accounts import NOW, SCOPES, SECRET, Accounts, Clock, User, get, make_app, make_auth
from tests.auth.forge import ISSUER
from tests.auth.keys import public_ring, ring

OURS = TokenPolicy(issuer="https://ours.example", clock=Clock())
THEIRS = TokenPolicy(issuer="https://theirs.example", audience="ours", clock=Clock())
OUR_ISSUER = TokenIssuer(OURS, ring("ES256"))
THEIR_ISSUER = TokenIssuer(THEIRS, ring("RS256"))


def ours(**options: Any) -> TokenVerifier:
    return TokenVerifier(OURS, public_ring("ES256"), **options)


def theirs(**options: Any) -> TokenVerifier:
    return TokenVerifier(THEIRS, public_ring("RS256"), **{"namespace": "theirs:", **options})


def auth_of(*verifiers: TokenVerifier, users: Any = None, **options: Any) -> Auth[User]:
    return Auth(
        users=Accounts() if users is None else users,
        verifiers=verifiers,
        token_url="/token",
        **options,
    )


# --- policies


@pytest.mark.parametrize("value", ["", 7, None, "x" * 256, "a\nb"])
def test_an_unusable_issuer_or_audience_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="issuer="):
        TokenPolicy(issuer=value)
    if value is not None:
        with pytest.raises(ConfigurationError, match="audience="):
            TokenPolicy(issuer="a", audience=value)


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1), timedelta(days=367)])
def test_a_lifetime_out_of_range_is_refused(ttl: timedelta) -> None:
    with pytest.raises(ConfigurationError, match="access_ttl="):
        TokenPolicy(issuer="a", access_ttl=ttl)


@pytest.mark.parametrize("leeway", [timedelta(seconds=-1), timedelta(minutes=5, seconds=1)])
def test_a_leeway_out_of_range_is_refused(leeway: timedelta) -> None:
    with pytest.raises(ConfigurationError, match="leeway="):
        TokenPolicy(issuer="a", leeway=leeway)


def test_a_naive_clock_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="naive"):
        TokenPolicy(issuer="a", clock=lambda: datetime(2026, 11, 1))  # noqa: DTZ001


def test_a_naive_log_in_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        OUR_ISSUER.issue("1", auth_time=datetime(2026, 11, 1))  # noqa: DTZ001


def test_a_verifier_alone_logs_why_and_tells_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "fastapi_kit.auth"), pytest.raises(InvalidTokenError) as raised:
        ours().verify("x.y.z")

    assert caplog.messages == [
        "Access token refused: the token is not three canonical base64url segments"
    ]
    assert "base64url" not in str(raised.value.detail)


def test_a_token_is_issued_to_the_microsecond() -> None:
    """So that it is before or after the end of all sessions in the same second."""
    clock = Clock(NOW + timedelta(microseconds=123_456))
    policy = TokenPolicy(issuer="a", clock=clock)
    keys = ring("HS256")

    claims = TokenVerifier(policy, keys).verify(TokenIssuer(policy, keys).issue("1"))

    assert claims.issued_at == clock.now
    assert claims.expires_at == NOW + timedelta(minutes=30)


# --- several issuers


async def test_each_token_is_verified_by_its_own_issuers_key() -> None:
    auth = auth_of(ours(), theirs())

    own = await auth.verify_access_token(OUR_ISSUER.issue("1"))
    other = await auth.verify_access_token(THEIR_ISSUER.issue("1"))

    assert (own.subject, own.issuer) == ("1", "https://ours.example")
    assert (other.subject, other.issuer) == ("theirs:1", "https://theirs.example")
    assert other.token_id.startswith("theirs:")


async def test_one_issuer_cannot_speak_for_the_other(caplog: pytest.LogCaptureFixture) -> None:
    forged = TokenIssuer(OURS, ring("RS256")).issue("1")

    with caplog.at_level("INFO", "fastapi_kit.auth"), pytest.raises(InvalidTokenError):
        await auth_of(ours(), theirs()).verify_access_token(forged)

    assert caplog.messages == [
        "Access token refused: no key of ours has this kid and algorithm; iss is not our issuer"
    ]


async def test_a_reason_that_all_give_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "fastapi_kit.auth"), pytest.raises(InvalidTokenError):
        await auth_of(ours(), theirs()).verify_access_token("x" * 9000)

    assert caplog.messages == ["Access token refused: the token is too long"]


async def test_user_one_of_a_partner_is_not_our_user_one() -> None:
    accounts = Accounts([User(1, "ann", role="admin")])
    auth = auth_of(ours(), theirs(), users=accounts, scopes=SCOPES)
    headers = {"Authorization": f"Bearer {THEIR_ISSUER.issue('1')}"}

    response = await get(make_app(auth, APIRouter()), "/me", headers)

    assert response.status_code == 401
    assert accounts.asked == ["theirs:1"]


async def test_our_issuer_does_not_speak_for_a_partners_users() -> None:
    with pytest.raises(InvalidTokenError):
        await auth_of(ours(), theirs()).verify_access_token(OUR_ISSUER.issue("theirs:1"))


def test_two_issuers_without_namespaces_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="user 1 of one would be user 1 of the other"):
        auth_of(ours(), theirs(namespace=""))


def test_two_issuers_with_one_namespace_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="share namespace='a:'"):
        auth_of(ours(namespace="a:"), theirs(namespace="a:"))


def test_a_namespace_that_starts_another_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="another namespace starts with 'a:'"):
        auth_of(ours(namespace="a:"), theirs(namespace="a:b:"))


@pytest.mark.parametrize("namespace", ["partner", "a\n:", 7, "x" * 300 + ":"])
def test_an_unusable_namespace_is_refused(namespace: Any) -> None:
    with pytest.raises(ConfigurationError, match="does not end in a colon"):
        ours(namespace=namespace)


async def test_a_subject_too_long_for_its_namespace_is_refused() -> None:
    with pytest.raises(InvalidTokenError):
        await auth_of(theirs()).verify_access_token(THEIR_ISSUER.issue("x" * 250))


async def test_one_issuer_may_have_two_policies() -> None:
    """While an audience is renamed, both are accepted."""
    renamed = TokenPolicy(issuer=OURS.issuer, audience="new", clock=Clock())
    auth = auth_of(ours(), TokenVerifier(renamed, public_ring("ES256")))

    assert await auth.verify_access_token(OUR_ISSUER.issue("1"))
    assert await auth.verify_access_token(TokenIssuer(renamed, ring("ES256")).issue("1"))


# --- how an Auth is put together


def test_neither_issuer_nor_verifier_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="give issuer=, verifiers= or both"):
        Auth(users=Accounts(), token_url="/token")
    with pytest.raises(ConfigurationError, match="would accept no token"):
        auth_of()


def test_a_verifier_that_does_not_accept_the_issuer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no verifier accepts .*iss is not our issuer"):
        auth_of(TokenVerifier(THEIRS, ring("ES256")), issuer=OUR_ISSUER)
    with pytest.raises(ConfigurationError, match="no key of ours"):
        auth_of(TokenVerifier(OURS, ring("RS256")), issuer=OUR_ISSUER)


async def test_an_issuer_and_its_verifiers_fit_together() -> None:
    auth = auth_of(ours(), theirs(), issuer=OUR_ISSUER)

    assert await auth.verify_access_token(auth.create_access_token(subject="1"))
    assert auth.access_ttl == OURS.access_ttl


async def test_an_issuer_alone_verifies_what_it_makes() -> None:
    auth = Auth(users=Accounts(), issuer=OUR_ISSUER, token_url="/token")

    assert await auth.verify_access_token(auth.create_access_token(subject="1"))


async def test_a_first_layer_auth_and_a_ring_of_the_same_secret_understand_each_other() -> None:
    policy = TokenPolicy(issuer=ISSUER, clock=Clock())
    auth = auth_of(TokenVerifier(policy, KeyRing.from_secret(None, SECRET)))

    assert await auth.verify_access_token(make_auth().create_access_token(subject="1"))
