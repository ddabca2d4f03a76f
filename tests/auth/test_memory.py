"""`MemoryUsers`: users for a first app."""

import pytest

from fastapi_kit.auth import Auth, MemoryUsers, Principal
from fastapi_kit.errors import ConfigurationError
from tests.auth.accounts import HASHER, SECRET
from tests.auth.test_passwords import old_hash

PASSWORD = "correct horse battery staple"


@pytest.fixture
def users() -> MemoryUsers:
    return MemoryUsers(hasher=HASHER)


@pytest.fixture
def auth(users: MemoryUsers) -> Auth[Principal]:
    return Auth.from_secret(SECRET, users=users, token_url="/token", hasher=HASHER)


async def test_an_added_user_logs_in_and_is_found(
    users: MemoryUsers, auth: Auth[Principal]
) -> None:
    ann = users.add("ann", PASSWORD, roles={"admin"}, permissions={"catalog"}, scopes={"x"})

    assert await auth.authenticate_user("ann", PASSWORD) is ann
    assert await users.get("ann") is ann
    assert ann == Principal("ann", roles={"admin"}, permissions={"catalog"}, scopes={"x"})


async def test_another_name_or_password_is_refused(
    users: MemoryUsers, auth: Auth[Principal]
) -> None:
    users.add("ann", PASSWORD)

    assert await auth.authenticate_user("ann", "wrong") is None
    assert await auth.authenticate_user("bob", PASSWORD) is None


async def test_an_upgraded_hash_is_kept(users: MemoryUsers, auth: Auth[Principal]) -> None:
    ann = users.add("ann", PASSWORD)
    await users.set_password_hash(ann, old_hash("bcrypt"))

    assert await auth.authenticate_user("ann", PASSWORD) is ann

    assert str(users.password_hash(ann)).startswith("$argon2id$")


def test_a_login_is_given_once(users: MemoryUsers) -> None:
    users.add("ann", PASSWORD)

    with pytest.raises(ConfigurationError, match="login='ann' is there already"):
        users.add("ann", "other")


def test_a_hasher_is_made_when_none_is_given() -> None:
    users = MemoryUsers()

    ann = users.add("ann", PASSWORD)

    assert str(users.password_hash(ann)).startswith("$argon2id$v=19$m=65536")
