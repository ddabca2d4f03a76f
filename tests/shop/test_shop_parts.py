"""Parts of the shop that no ordinary request reaches."""

from examples.shop.settings import Settings
from examples.shop.users.accounts import Accounts
from examples.shop.users.models import Role, User
from fastapi_kit.db import Database


def test_the_server_finds_an_app() -> None:
    from examples.shop.main import app

    assert app.title == "The shop"


async def test_an_upgraded_hash_is_stored_where_the_old_one_still_stands(
    settings: Settings,
) -> None:
    async with Database(settings.database_url) as db:
        async with db.session() as session:
            user = User(name="A", email="a@example.com", password_hash="old", role=Role.VIEWER)
            session.add(user)
        accounts = Accounts(db)

        await accounts.set_password_hash(user, "new")
        await accounts.set_password_hash(user, "late")  # `user` says "old" still

        found = await accounts.get(str(user.id))
    assert found is not None
    assert found.password_hash == "new"
