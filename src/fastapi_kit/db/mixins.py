"""What models have in common: times of change, a version, being deleted.

Columns are declared by functions and not by annotations, so that SQLModel's models can have them
too: Pydantic would take an annotation for a field.
"""

from datetime import UTC, datetime
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import Integer, event, func
from sqlalchemy.orm import (
    Mapped,
    Mapper,
    ORMExecuteState,
    Session,
    UserDefinedOption,
    declared_attr,
    mapped_column,
    with_loader_criteria,
)
from sqlalchemy.orm.attributes import set_attribute
from sqlalchemy.sql.base import ExecutableOption

from fastapi_kit.db.types import UTCDateTime
from fastapi_kit.errors import ConfigurationError

StatementT = TypeVar("StatementT", bound="_TakesOptions")


class _TakesOptions(Protocol):
    def options(self, *options: ExecutableOption) -> Self: ...


def _now() -> datetime:
    return datetime.now(UTC)


class TimestampMixin:
    """Adds ``created_at`` and ``updated_at``: aware, in UTC, to the microsecond.

    The app's clock sets them, so that they can be read after a flush without asking the database;
    rows that are inserted past SQLAlchemy get the database's time.
    """

    @declared_attr
    def created_at(self) -> Mapped[datetime]:
        """When the row was made."""
        return mapped_column(
            UTCDateTime, default=_now, server_default=func.now(), nullable=False, sort_order=900
        )

    @declared_attr
    def updated_at(self) -> Mapped[datetime]:
        """When the row was last changed, or else made."""
        return mapped_column(
            UTCDateTime,
            default=_now,
            onupdate=_now,
            server_default=func.now(),
            nullable=False,
            sort_order=901,
        )


class VersionMixin:
    """Adds ``version``, which counts the row's changes and refuses one that is made on an old state.

    A row that someone else has changed or deleted since it was read is not overwritten: the flush
    raises SQLAlchemy's ``StaleDataError``, which `database_errors` answers by 409.
    Only changes through objects are guarded; a bulk ``update()`` must count for itself,
    ``values(version=Item.version + 1)``.

    Name it before the base, ``class Item(VersionMixin, Base)``. A model with ``__mapper_args__`` of
    its own adds ``"version_id_col"`` to it.

    Raises:
        ConfigurationError: When the class is made, if something else took the place of our
            ``__mapper_args__``.
    """

    @declared_attr
    def version(self) -> Mapped[int]:
        """Starts at 1."""
        return mapped_column(Integer, server_default="1", nullable=False, sort_order=902)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        inherited: dict[str, Any] = getattr(super(), "__mapper_args__", {})
        return {**inherited, "version_id_col": cls.version}


@event.listens_for(VersionMixin, "after_mapper_constructed", propagate=True)
def _require_version_check(mapper: Mapper[Any], cls: type[Any]) -> None:
    if mapper.version_id_col is None:
        raise ConfigurationError(
            f"{cls.__name__} has a version that nothing checks, for other __mapper_args__ hide "
            f"VersionMixin's; write class {cls.__name__}(VersionMixin, Base), and add "
            '"version_id_col": version to __mapper_args__ of its own'
        )


class SoftDeleteMixin:
    """Adds ``deleted_at``; a row that has it is there no more, for every select, update and delete.

    The filter is laid over each ORM statement of each session in the process, joins, relationships,
    aliases and subqueries included, so that it cannot be forgotten; `with_deleted` lifts it from
    one statement. `Repository.delete` sets ``deleted_at``, while ``session.delete`` removes the row.
    Statements on ``Item.__table__``, and text, see everything.

    A unique constraint still counts deleted rows; a partial index does not:
    ``Index(None, "email", unique=True, postgresql_where=text("deleted_at IS NULL"),
    sqlite_where=text("deleted_at IS NULL"))``.
    """

    @declared_attr
    def deleted_at(self) -> Mapped[datetime | None]:
        """When the row was deleted; `None` while it is there."""
        return mapped_column(UTCDateTime, nullable=True, sort_order=903)

    def mark_deleted(self) -> None:
        """Let the row be gone with the next flush; a time that it has already stays."""
        if self.deleted_at is None:
            # Not by assignment, which SQLModel leaves to Pydantic, who sees no such field.
            set_attribute(self, "deleted_at", _now())

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Only an app that has such models pays for it.
        if not event.contains(Session, "do_orm_execute", _hide_deleted):
            event.listen(Session, "do_orm_execute", _hide_deleted)


class _Decided(UserDefinedOption):
    """Marks a statement as filtered already, or never to be; so are its relationships later on."""

    propagate_to_loaders = True


_DECIDED = _Decided()
_NOT_DELETED = with_loader_criteria(
    SoftDeleteMixin, lambda cls: cls.deleted_at.is_(None), include_aliases=True
)


def with_deleted(stmt: StatementT) -> StatementT:
    """The statement, seeing the rows of `SoftDeleteMixin` that are deleted too.

    So do the relationships of what it loads.
    """
    return stmt.options(_DECIDED)


def _hide_deleted(state: ORMExecuteState) -> None:
    # A refresh must find its row, whatever became of it.
    if state.is_column_load or not (state.is_select or state.is_update or state.is_delete):
        return
    if _DECIDED not in state.user_defined_options:
        state.statement = state.statement.options(_NOT_DELETED, _DECIDED)
