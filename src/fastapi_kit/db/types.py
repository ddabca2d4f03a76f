"""Column types that give the same values on every database."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine


class UnstorableMomentError(ValueError):
    """A `datetime` has no offset, or lies outside of the years 1 to 9999 in UTC.

    Sent by a `Database`, it comes as SQLAlchemy's ``DataError``, which `database_errors` answers
    by 422.
    """


class UTCDateTime(TypeDecorator[datetime]):
    """A moment: aware `datetime` in, aware `datetime` in UTC out, whatever the database.

    ``created_at: Mapped[datetime] = mapped_column(UTCDateTime)``, or
    ``Field(sa_type=UTCDateTime)`` with SQLModel.
    PostgreSQL keeps it as ``timestamp with time zone``, SQLite as text in UTC.
    A naive `datetime` is refused when it is sent, for nobody knows which moment it means;
    Pydantic's ``AwareDatetime`` refuses it earlier and tells the client where it stood.
    """

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = DateTime(timezone=True)
    cache_ok: bool | None = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        """Give what the driver gets."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise UnstorableMomentError(
                "A datetime without an offset is no moment; use datetime.now(UTC), or "
                "pydantic.AwareDatetime for what clients send"
            )
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise UnstorableMomentError(
                "A moment lies outside of the years 1 to 9999 in UTC; use one within"
            ) from None

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        """Give what the app gets."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:
        """Give the type of what is compared to it, or added."""
        if value is None or isinstance(value, datetime):
            return self
        return self.impl_instance.coerce_compared_value(op, value)
