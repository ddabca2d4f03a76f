from enum import StrEnum

from sqlalchemy import Enum, String, false
from sqlalchemy.orm import Mapped, mapped_column

from examples.shop.columns import CreatedAt
from fastapi_kit.auth import deny_list_table, refresh_sessions_table
from fastapi_kit.db import Base, SoftDeleteMixin


class Role(StrEnum):
    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


class User(SoftDeleteMixin, Base):
    """Somebody with an account; a deleted one stays, for what they sold and bought."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[Role] = mapped_column(
        Enum(Role, native_enum=False, length=20, values_callable=lambda roles: [*roles])
    )
    is_active: Mapped[bool] = mapped_column(default=True)
    verified: Mapped[bool] = mapped_column(server_default=false())
    """Whether they have shown that the e-mail address is theirs."""
    created_at: Mapped[CreatedAt]


refresh_sessions = refresh_sessions_table(Base.metadata)
deny_list = deny_list_table(Base.metadata)
