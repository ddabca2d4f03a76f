"""A new password and a confirmed address by mailed token, and every token that does not hold."""

import asyncio
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import Engine, event, select, update

from examples.shop.app import create_app
from examples.shop.demo import PASSWORD
from examples.shop.settings import Settings
from examples.shop.users.mailed_tokens import RESET, RESET_TTL, VERIFY, VERIFY_TTL
from examples.shop.users.models import User
from fastapi_kit.auth import Auth, MemoryUsers
from fastapi_kit.db import Database
from fastapi_kit.testing import app_client, assert_problem
from tests.shop.conftest import log_in

VIEWER, EMAIL = 3, "viewer@example.com"
NEW_PASSWORD = "another long password"
PATHS = {RESET: "/api/v1/auth/reset-password", VERIFY: "/api/v1/auth/verify"}


def mails(settings: Settings) -> list[str]:
    return [path.read_text() for path in sorted(settings.mail_folder.glob("*"))]


def token_in(mail: str) -> str:
    [token] = [line for line in mail.splitlines() if line.startswith("ey")]
    return token


async def mailed_token(client: AsyncClient, settings: Settings, purpose: str) -> str:
    """The token in the mail that the viewer gets on asking for it."""
    if purpose == RESET:
        await client.post("/api/v1/auth/forgot-password", json={"email": EMAIL})
    else:
        headers = await log_in(client, "viewer")
        await client.post("/api/v1/auth/request-verify", headers=headers)
    [mail] = mails(settings)
    return token_in(mail)


async def use(client: AsyncClient, purpose: str, token: str) -> Response:
    password = {"password": NEW_PASSWORD} if purpose == RESET else {}
    return await client.post(PATHS[purpose], json={"token": token, **password})


def issuer(settings: Settings, ago: timedelta = timedelta(0)) -> Auth[Any]:
    """Makes tokens with the shop's key, as it did that long ago."""
    return Auth.from_secret(
        settings.secret_key,
        users=MemoryUsers(),
        token_url="/token",
        clock=lambda: datetime.now(UTC) - ago,
    )


async def binding(settings: Settings, purpose: str) -> str:
    """What the viewer's tokens are bound to."""
    async with Database(settings.database_url) as db, db.read_session() as session:
        viewer = (await session.scalars(select(User).where(User.email == EMAIL))).one()
    return viewer.password_hash if purpose == RESET else viewer.email


async def change_viewer(settings: Settings, **values: Any) -> None:
    async with Database(settings.database_url) as db, db.session() as session:
        await session.execute(update(User).where(User.email == EMAIL).values(**values))


def accepts(response: Response) -> bool:
    if response.status_code != 204:
        assert_problem(response, 400, type="/problems/invalid-mailed-token")
    return response.status_code == 204


# --- what they are for


async def test_a_mailed_token_sets_a_new_password_and_ends_every_session(
    client: AsyncClient, settings: Settings
) -> None:
    session = await log_in(client, "viewer")
    token = await mailed_token(client, settings, RESET)

    assert accepts(await use(client, RESET, token))

    form = {"grant_type": "password", "username": EMAIL}
    for password, status in ((PASSWORD, 400), (NEW_PASSWORD, 200)):
        answer = await client.post("/api/v1/auth/token", data={**form, "password": password})
        assert answer.status_code == status
    assert_problem(await client.get("/api/v1/users/me", headers=session), 401)


async def test_a_mailed_token_confirms_the_address(client: AsyncClient, settings: Settings) -> None:
    headers = await log_in(client, "viewer")
    before = (await client.get("/api/v1/users/me", headers=headers)).json()
    token = await mailed_token(client, settings, VERIFY)

    assert accepts(await use(client, VERIFY, token))

    after = (await client.get("/api/v1/users/me", headers=headers)).json()
    assert (before["verified"], after["verified"]) == (False, True)


async def test_a_confirmed_address_gets_no_mail(client: AsyncClient, settings: Settings) -> None:
    await change_viewer(settings, verified=True)
    headers = await log_in(client, "viewer")

    asked = await client.post("/api/v1/auth/request-verify", headers=headers)

    assert asked.status_code == 202
    assert mails(settings) == []


async def test_only_users_have_their_address_confirmed(client: AsyncClient) -> None:
    assert_problem(await client.post("/api/v1/auth/request-verify"), 401)


async def test_an_unusable_password_leaves_the_token_as_it_is(
    client: AsyncClient, settings: Settings
) -> None:
    token = await mailed_token(client, settings, RESET)

    refused = await client.post(PATHS[RESET], json={"token": token, "password": "short"})

    assert_problem(refused, 422)
    assert token not in refused.text
    assert accepts(await use(client, RESET, token))


# --- what does not hold


@pytest.mark.parametrize("purpose", [RESET, VERIFY])
async def test_a_token_is_good_for_one_use(
    client: AsyncClient, settings: Settings, purpose: str
) -> None:
    token = await mailed_token(client, settings, purpose)

    assert accepts(await use(client, purpose, token))
    assert not accepts(await use(client, purpose, token))


async def test_of_many_resets_at_once_one_succeeds(client: AsyncClient, settings: Settings) -> None:
    for _ in range(2):
        await client.post("/api/v1/auth/forgot-password", json={"email": EMAIL})
    tokens = [token_in(mail) for mail in mails(settings)]

    answers = await asyncio.gather(*(use(client, RESET, token) for token in tokens * 4))

    assert [accepts(answer) for answer in answers].count(True) == 1


@pytest.mark.parametrize(("purpose", "ttl"), [(RESET, RESET_TTL), (VERIFY, VERIFY_TTL)])
async def test_an_expired_token_is_refused(
    client: AsyncClient, settings: Settings, purpose: str, ttl: timedelta
) -> None:
    bound_to = await binding(settings, purpose)
    nearly, expired = (
        issuer(settings, ago).purpose_token(
            purpose, subject=str(VIEWER), ttl=ttl, bound_to=bound_to
        )
        for ago in (ttl - timedelta(minutes=1), ttl)
    )

    assert not accepts(await use(client, purpose, expired))
    assert accepts(await use(client, purpose, nearly))


@pytest.mark.parametrize(("purpose", "other"), [(RESET, VERIFY), (VERIFY, RESET)])
async def test_a_token_of_another_purpose_is_refused(
    client: AsyncClient, settings: Settings, purpose: str, other: str
) -> None:
    bound_to = await binding(settings, purpose)
    token = issuer(settings).purpose_token(
        other, subject=str(VIEWER), ttl=RESET_TTL, bound_to=bound_to
    )

    assert not accepts(await use(client, purpose, token))


@pytest.mark.parametrize("purpose", [RESET, VERIFY])
async def test_an_access_token_is_refused(client: AsyncClient, purpose: str) -> None:
    headers = await log_in(client, "viewer")

    token = headers["Authorization"].removeprefix("Bearer ")

    assert not accepts(await use(client, purpose, token))


@pytest.mark.parametrize("purpose", [RESET, VERIFY])
async def test_a_mailed_token_is_no_access_token(
    client: AsyncClient, settings: Settings, purpose: str
) -> None:
    token = await mailed_token(client, settings, purpose)

    headers = {"Authorization": f"Bearer {token}"}

    assert_problem(await client.get("/api/v1/users/me", headers=headers), 401)


def with_another_signature(token: str) -> str:
    return f"{token[:-2]}{'A' if token[-2] != 'A' else 'B'}{token[-1]}"


@pytest.mark.parametrize("tamper", [with_another_signature, lambda token: token[:-5], lambda _: ""])
@pytest.mark.parametrize("purpose", [RESET, VERIFY])
async def test_a_tampered_token_is_refused(
    client: AsyncClient, settings: Settings, purpose: str, tamper: Callable[[str], str]
) -> None:
    token = await mailed_token(client, settings, purpose)

    assert not accepts(await use(client, purpose, tamper(token)))


@pytest.mark.parametrize("purpose", [RESET, VERIFY])
async def test_a_token_of_nobody_is_refused(
    client: AsyncClient, settings: Settings, purpose: str
) -> None:
    bound_to = await binding(settings, purpose)
    token = issuer(settings).purpose_token(purpose, subject="99", ttl=RESET_TTL, bound_to=bound_to)

    assert not accepts(await use(client, purpose, token))


@pytest.mark.parametrize("purpose", [RESET, VERIFY])
async def test_a_token_that_is_not_bound_is_refused(
    client: AsyncClient, settings: Settings, purpose: str
) -> None:
    token = issuer(settings).purpose_token(purpose, subject=str(VIEWER), ttl=RESET_TTL)

    assert not accepts(await use(client, purpose, token))


@pytest.mark.parametrize("purpose", [RESET, VERIFY])
@pytest.mark.parametrize("values", [{"is_active": False}, {"deleted_at": datetime.now(UTC)}])
async def test_a_token_of_someone_inactive_or_deleted_is_refused(
    client: AsyncClient, settings: Settings, purpose: str, values: dict[str, Any]
) -> None:
    token = await mailed_token(client, settings, purpose)
    await change_viewer(settings, **values)

    assert not accepts(await use(client, purpose, token))


async def test_a_token_dies_when_the_password_is_changed_otherwise(
    client: AsyncClient, settings: Settings
) -> None:
    token = await mailed_token(client, settings, RESET)
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    headers = await log_in(client, "viewer")
    await client.put("/api/v1/users/me/password", json=change, headers=headers)

    assert not accepts(await use(client, RESET, token))


async def test_a_confirmation_is_of_the_address_it_was_mailed_to(
    client: AsyncClient, settings: Settings
) -> None:
    token = await mailed_token(client, settings, VERIFY)
    await change_viewer(settings, email="other@example.com")

    assert not accepts(await use(client, VERIFY, token))


# --- what an answer tells


async def test_the_answer_does_not_tell_who_has_an_account(
    client: AsyncClient, settings: Settings
) -> None:
    await change_viewer(settings, is_active=False)

    answers = [
        await client.post("/api/v1/auth/forgot-password", json={"email": email})
        for email in ("Editor@example.com", EMAIL, "nobody@example.com")
    ]

    for answer in answers:
        assert answer.status_code == 202
        assert answer.content == answers[0].content
        assert answer.headers.keys() == answers[0].headers.keys()
    [mail] = mails(settings)
    assert "To: editor@example.com" in mail


@pytest.fixture
def happened() -> Iterator[list[str]]:
    """What happened, in order: each statement that a database is sent, and what tests add."""
    happened: list[str] = []

    def note(*arguments: Any) -> None:
        happened.append("statement")

    event.listen(Engine, "before_cursor_execute", note)
    yield happened
    event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
async def test_nobody_is_looked_up_before_the_answer_is_out(
    settings: Settings, email: str, happened: list[str]
) -> None:
    """So the time that an answer takes cannot tell who has an account."""
    app = create_app(settings)

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        async def noting_send(message: Any) -> None:
            await send(message)
            if message["type"] == "http.response.body":
                happened.append("answer")

        await app(scope, receive, noting_send)

    async with app_client(noting) as client:
        happened.clear()
        await client.post("/api/v1/auth/forgot-password", json={"email": email})

    assert happened[0] == "answer"
    assert "statement" in happened


@pytest.mark.parametrize("purpose", [RESET, VERIFY])
async def test_no_log_line_holds_a_token_or_password(
    client: AsyncClient, settings: Settings, purpose: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        token = await mailed_token(client, settings, purpose)
        await use(client, purpose, token)
        await use(client, purpose, token)

    assert "Purpose token refused" in caplog.text
    assert token not in caplog.text
    assert NEW_PASSWORD not in caplog.text


# --- the mails


async def test_nobody_else_on_the_machine_reads_the_mails(
    client: AsyncClient, settings: Settings
) -> None:
    await mailed_token(client, settings, RESET)

    [mail] = settings.mail_folder.iterdir()
    assert stat.S_IMODE(mail.stat().st_mode) == 0o600
    assert stat.S_IMODE(mail.parent.stat().st_mode) == 0o700


async def test_production_without_a_mailer_has_no_such_routes(tmp_path: Path) -> None:
    async with app_client(create_app(production(tmp_path))) as client:
        for path in ("forgot-password", "reset-password", "request-verify", "verify"):
            response = await client.post(f"/api/v1/auth/{path}", json={"email": EMAIL})
            assert_problem(response, 404)


async def test_production_mails_by_its_own_mailer(tmp_path: Path) -> None:
    sent: list[tuple[str, str]] = []

    class Sent:
        async def send(self, to: str, subject: str, text: str) -> None:
            sent.append((to, subject))

    account = {"name": "Ann", "email": "ann@example.com", "password": NEW_PASSWORD}
    async with app_client(create_app(production(tmp_path), Sent())) as client:
        await client.post("/api/v1/auth/register", json=account)
        await client.post("/api/v1/auth/forgot-password", json={"email": "ann@example.com"})

    assert sent == [("ann@example.com", "A new password")]


def production(tmp_path: Path) -> Settings:
    return Settings.for_tests(
        environment="production",
        secret_key="v7Qm2xT9pLz4Rk8Nw3Hs6Yd1Bf5Gj0Uc",
        database_url=f"sqlite:///{tmp_path}/shop.db",
    )
