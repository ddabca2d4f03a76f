"""The shop, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline

from examples.shop.demo import add_demo_data
from examples.shop.items.router import items_v1, items_v2
from examples.shop.orders.router import orders_router
from examples.shop.pages import pages_router
from examples.shop.settings import Settings
from examples.shop.users.accounts import Accounts
from examples.shop.users.admin import admin_router
from examples.shop.users.mail import Mailer, MailFolder
from examples.shop.users.mailed_tokens import mailed_tokens_router
from examples.shop.users.models import User, deny_list, refresh_sessions
from examples.shop.users.router import EmailTaken, users_router
from fastapi_kit import (
    AccessLog,
    Auth,
    Database,
    Health,
    PasswordHasher,
    auth_router,
    compose,
    database_errors,
    setup_app,
)
from fastapi_kit.auth import RefreshTokens, SQLAlchemyDenyList, SQLAlchemyRefreshStore
from fastapi_kit.db.migrations import Migrations
from fastapi_kit.pagination import CursorSigner


def create_app(settings: Settings, mailer: Mailer | None = None) -> FastAPI:
    """The shop with these settings; without a mailer, it mails in development only."""
    if mailer is None and settings.has_demo_data:
        mailer = MailFolder(settings.mail_folder)
    db = Database(settings.database_url)
    migrations = Migrations(db, Path(__file__).parent / "migrations")
    auth = Auth[User].from_secret(
        settings.secret_key,
        users=Accounts(db),
        token_url="/api/v1/auth/token",
        scopes={"items:write": "Offer and change items"},
        denylist=SQLAlchemyDenyList(db, deny_list),
        hasher=PasswordHasher.for_environment(settings.environment),
    )
    refresh = RefreshTokens(SQLAlchemyRefreshStore(db, refresh_sessions))
    signer = CursorSigner(settings.secret_key)

    @asynccontextmanager
    async def prepare(_app: FastAPI) -> AsyncIterator[None]:
        if settings.has_demo_data:
            await add_demo_data(db, auth.hasher)
        yield

    # FastAPI's own docs pages load their scripts from the net; these bring them along.
    app = FastAPIOffline(
        **settings.app_options, lifespan=compose(db.lifespan, migrations.lifespan, prepare)
    )
    setup_app(
        app,
        settings,
        access_log=AccessLog(skip={"/livez", "/readyz"}),
        extra_errors=[database_errors(constraints={"uq_users_email": EmailTaken})],
    )
    v1 = APIRouter(prefix="/api/v1")
    v1.include_router(auth_router(auth, refresh=refresh), prefix="/auth")
    v1.include_router(users_router(auth, refresh))
    if mailer is not None:
        v1.include_router(mailed_tokens_router(auth, refresh, mailer))
    v1.include_router(admin_router(auth))
    v1.include_router(items_v1())
    v2 = APIRouter(prefix="/api/v2")
    v2.include_router(items_v2(auth, signer))
    v2.include_router(orders_router(auth, signer))
    app.include_router(v1)
    app.include_router(v2)
    app.include_router(Health(checks={"database": db.ping, "migrations": migrations.check}).router)
    app.include_router(pages_router(settings))
    return app
