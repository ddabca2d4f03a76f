"""The declarative base for an app's models."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import DateTime, MetaData
from sqlalchemy.orm import DeclarativeBase

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """A declarative base whose models suit migrations and async sessions.

    - Every constraint has a name (``uq_users_email``, ``fk_items_owner_id_users``), so that
      migrations can drop it and `database_errors` can speak of it.
    - Values that the database computes are fetched with the statement that made them, on UPDATE
      too: reading them later would be IO where an async session may do none.
      A model with ``__mapper_args__`` of its own keeps that by
      ``{**Base.__mapper_args__, ...}``.
    - ``Mapped[datetime]`` is a timestamp with time zone where the database has one.
    """

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: DateTime(timezone=True)}
    __mapper_args__: Any = {"eager_defaults": True}  # noqa: RUF012  # so SQLAlchemy types it
