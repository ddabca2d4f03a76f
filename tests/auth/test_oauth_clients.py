"""Real OAuth 2.0 clients, over HTTP: they log in, refresh, are refused, and see the error."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import httpx_auth
import pytest
import uvicorn
from authlib.integrations.base_client.errors import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import OAuth2Client  # type: ignore[import-untyped]
from httpx_auth import OAuth2ResourceOwnerPasswordCredentials
from oauthlib.oauth2 import (  # type: ignore[import-untyped]
    InvalidGrantError,
    InvalidScopeError,
    LegacyApplicationClient,
    TemporarilyUnavailableError,
)
from requests_oauthlib import OAuth2Session  # type: ignore[import-untyped]

from fastapi_kit.auth import MemoryLockout
from tests.auth.sessions import PASSWORD, House


@pytest.fixture
def house() -> House:
    return House(options={"lockout": MemoryLockout(free_attempts=2)})


@pytest.fixture
def url(house: House) -> Iterator[str]:
    """The house, served; its listening socket keeps early requests waiting until it is up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(house.app, log_config=None, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


class Authlib:
    """authlib, whose `fetch_token` takes a bare problem for a token."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = OAuth2Client(token_endpoint=f"{url}/auth/token")

    def log_in(self, password: str = PASSWORD, scope: str | None = None) -> dict[str, Any]:
        return dict(
            self.client.fetch_token(
                username="ann", password=password, grant_type="password", scope=scope
            )
        )

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        return dict(self.client.refresh_token(refresh_token=refresh_token))

    def me(self) -> int:
        return int(self.client.get(f"{self.url}/me").status_code)


class RequestsOAuthlib:
    """requests-oauthlib, which speaks oauthlib."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = OAuth2Session(client=LegacyApplicationClient(client_id="tests"))

    def log_in(self, password: str = PASSWORD, scope: str | None = None) -> dict[str, Any]:
        return dict(
            self.client.fetch_token(
                f"{self.url}/auth/token", username="ann", password=password, scope=scope
            )
        )

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        return dict(
            self.client.refresh_token(f"{self.url}/auth/token", refresh_token=refresh_token)
        )

    def me(self) -> int:
        return int(self.client.get(f"{self.url}/me").status_code)


Both = Authlib | RequestsOAuthlib


@pytest.fixture(params=[Authlib, RequestsOAuthlib])
def client(
    request: pytest.FixtureRequest, url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Both]:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made: Both = request.param(url)
    yield made
    made.client.close()


def error_of(raised: Exception) -> str:
    return str(getattr(raised, "error", raised))


def test_it_logs_in_and_is_let_in(client: Both) -> None:
    token = client.log_in(scope="items:read")

    assert token["token_type"] == "bearer"
    assert token["expires_in"] == 1800
    assert client.me() == 200


def test_it_refreshes(client: Both) -> None:
    first = client.log_in()

    second = client.refresh(first["refresh_token"])

    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert client.me() == 200


def test_it_sees_that_the_password_is_wrong(client: Both) -> None:
    with pytest.raises((OAuthError, InvalidGrantError)) as raised:
        client.log_in("wrong")

    assert error_of(raised.value) == "invalid_grant"
    assert "The user name or password is wrong." in str(raised.value)


def test_it_sees_that_a_scope_is_not_known(client: Both) -> None:
    with pytest.raises((OAuthError, InvalidScopeError)) as raised:
        client.log_in(scope="items:fly")

    assert error_of(raised.value) == "invalid_scope"


def test_it_sees_that_a_refresh_token_was_used(client: Both) -> None:
    first = client.log_in()
    client.refresh(first["refresh_token"])

    with pytest.raises((OAuthError, InvalidGrantError)) as raised:
        client.refresh(first["refresh_token"])

    assert error_of(raised.value) == "invalid_grant"


def test_it_sees_that_it_has_to_wait(client: Both) -> None:
    for _ in range(2):
        with pytest.raises((OAuthError, InvalidGrantError)):
            client.log_in("wrong")

    with pytest.raises((OAuthError, TemporarilyUnavailableError)) as raised:
        client.log_in()

    assert error_of(raised.value) == "temporarily_unavailable"


def test_authlib_revokes(url: str) -> None:
    authlib = Authlib(url)
    with authlib.client:
        token = authlib.log_in()

        response = authlib.client.revoke_token(
            f"{url}/auth/revoke", token=token["refresh_token"], token_type_hint="refresh_token"
        )

        assert response.status_code == 200
        with pytest.raises(OAuthError, match="invalid_grant"):
            authlib.refresh(token["refresh_token"])


@pytest.fixture
def fresh_cache() -> Iterator[None]:
    yield
    httpx_auth.OAuth2.token_cache.clear()


@pytest.mark.usefixtures("fresh_cache")
def test_httpx_auth_logs_in_once_and_refreshes_what_is_about_to_expire(
    url: str, house: House
) -> None:
    auth = OAuth2ResourceOwnerPasswordCredentials(
        f"{url}/auth/token", "ann", PASSWORD, scope="items:read", early_expiry=3600
    )
    with httpx.Client(auth=auth) as client:
        answers = [client.get(f"{url}/me").status_code for _ in range(2)]

    assert answers == [200, 200]
    assert [event.name for event in house.events] == ["login", "refresh"]


@pytest.mark.usefixtures("fresh_cache")
def test_httpx_auth_sees_the_error(url: str) -> None:
    auth = OAuth2ResourceOwnerPasswordCredentials(f"{url}/auth/token", "ann", "wrong")

    with (
        httpx.Client(auth=auth) as client,
        pytest.raises(httpx_auth.InvalidGrantRequest, match="invalid_grant"),
    ):
        client.get(f"{url}/me")
