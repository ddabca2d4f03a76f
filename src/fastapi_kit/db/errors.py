"""Which problem a database error is for the client.

The code decides (SQLSTATE, SQLite's error name, MySQL's errno), never a message's text: texts
change with versions and locales, and hold rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, ClassVar

from sqlalchemy import (
    CheckConstraint,
    Constraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    UniqueConstraint,
)
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError

from fastapi_kit.db.base import Base
from fastapi_kit.errors import (
    AppError,
    ConflictError,
    ServiceUnavailableError,
    UnprocessableError,
)


class StaleVersionError(ConflictError):
    """409: what is to be changed was changed or deleted meanwhile; read it again."""

    type = "/problems/stale-version"
    title = "Changed meanwhile"
    default_detail = "This was changed or deleted meanwhile; read it again and repeat the change"


class _Kind(Enum):
    DUPLICATE = auto()
    REFERENCE = auto()
    VALUE = auto()
    BUSY = auto()


_DETAILS = {
    _Kind.DUPLICATE: "This conflicts with something that exists already",
    _Kind.REFERENCE: "This refers to something that does not exist, or is still referred to",
    _Kind.VALUE: "A value is missing or not acceptable",
    _Kind.BUSY: "The database is busy or cannot be reached; try again",
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATES = {
    "23505": _Kind.DUPLICATE,  # unique_violation
    "23P01": _Kind.DUPLICATE,  # exclusion_violation
    "23503": _Kind.REFERENCE,  # foreign_key_violation
    "23001": _Kind.REFERENCE,  # restrict_violation
    "23502": _Kind.VALUE,  # not_null_violation
    "23514": _Kind.VALUE,  # check_violation
    "40001": _Kind.BUSY,  # serialization_failure
    "40P01": _Kind.BUSY,  # deadlock_detected
    "55P03": _Kind.BUSY,  # lock_not_available
    "53300": _Kind.BUSY,  # too_many_connections
    "57P01": _Kind.BUSY,  # admin_shutdown
    "57P02": _Kind.BUSY,  # crash_shutdown
    "57P03": _Kind.BUSY,  # cannot_connect_now
    "57P05": _Kind.BUSY,  # idle_session_timeout
}
_SQLSTATE_CLASSES = {"08": _Kind.BUSY, "22": _Kind.VALUE}  # connection, data exception

# https://www.sqlite.org/rescode.html
_SQLITE_NAMES = {
    "SQLITE_CONSTRAINT_UNIQUE": _Kind.DUPLICATE,
    "SQLITE_CONSTRAINT_PRIMARYKEY": _Kind.DUPLICATE,
    "SQLITE_CONSTRAINT_ROWID": _Kind.DUPLICATE,
    "SQLITE_CONSTRAINT_FOREIGNKEY": _Kind.REFERENCE,
    "SQLITE_CONSTRAINT_TRIGGER": _Kind.REFERENCE,  # ON DELETE RESTRICT is reported as this
    "SQLITE_CONSTRAINT_NOTNULL": _Kind.VALUE,
    "SQLITE_CONSTRAINT_CHECK": _Kind.VALUE,
    "SQLITE_CONSTRAINT_DATATYPE": _Kind.VALUE,
    "SQLITE_MISMATCH": _Kind.VALUE,
    "SQLITE_TOOBIG": _Kind.VALUE,
}
_SQLITE_CLASSES = ("SQLITE_BUSY", "SQLITE_LOCKED")

# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
_MYSQL_ERRNOS = {
    1062: _Kind.DUPLICATE,
    **dict.fromkeys((1216, 1217, 1451, 1452), _Kind.REFERENCE),
    **dict.fromkeys((1048, 1264, 1292, 1364, 1366, 1406, 3819, 4025), _Kind.VALUE),
    **dict.fromkeys((1040, 1205, 1213, 2002, 2003, 2006, 2013), _Kind.BUSY),
}


@dataclass(frozen=True, kw_only=True)
class _DatabaseErrors:
    exceptions: ClassVar[tuple[type[Exception], ...]] = (
        DBAPIError,
        PoolTimeoutError,
        StaleDataError,
    )
    constraints: Mapping[str, str | type[AppError]]
    metadata: MetaData = field(repr=False)
    retry_after_seconds: int

    def __call__(self, exc: Exception) -> AppError | None:
        if isinstance(exc, StaleDataError):
            return StaleVersionError()
        kind = _kind(exc)
        if kind is None:
            return None
        if kind is _Kind.BUSY:
            return ServiceUnavailableError(
                _DETAILS[kind], retry_after_seconds=self.retry_after_seconds
            )
        told = self._told(exc)
        if isinstance(told, type):
            return told()
        if kind is _Kind.VALUE:
            return UnprocessableError(told or _DETAILS[kind])
        return ConflictError(told or _DETAILS[kind])

    def _told(self, exc: Exception) -> str | type[AppError] | None:
        """What the app says about the constraint, where it is one that the app named."""
        if not (self.constraints and isinstance(exc, DBAPIError)):
            return None
        name = _constraint_name(exc) or self._sqlite_constraint_name(exc)
        return self.constraints.get(name) if name else None

    def _sqlite_constraint_name(self, exc: DBAPIError) -> str | None:
        # SQLite has no field for what was violated, only its message tells. It is not parsed: the
        # possible messages are made from the models and compared whole, so another wording can
        # cost the app's own sentence, and never give a wrong one.
        message = str(exc.orig)
        for table in self.metadata.tables.values():
            items: list[Constraint | Index] = [*table.constraints, *table.indexes]
            for item in items:
                if str(item.name) in self.constraints and message in _sqlite_messages(item):
                    return str(item.name)
        return None


def database_errors(
    *,
    constraints: Mapping[str, str | type[AppError]] | None = None,
    metadata: MetaData = Base.metadata,
    retry_after_seconds: int = 1,
) -> _DatabaseErrors:
    """The client's view of database errors, for ``add_error_handlers(app, extra=[...])``.

    A duplicate, a broken reference or a stale version (`VersionMixin`) is 409; a missing or unacceptable value 422; a lock, deadlock,
    lost connection or exhausted pool 503 with ``Retry-After``. Anything else stays a 500.

    Args:
        constraints: What to say about a constraint, by its name: the detail, or an `AppError`
            subclass that is raised instead.
        metadata: Of your models, by default `Base`'s. SQLite reports the columns of a violated
            constraint and not its name, which is looked up here; a foreign key's it never reports.
        retry_after_seconds: Sent with a 503.
    """
    return _DatabaseErrors(
        constraints=dict(constraints or {}),
        metadata=metadata,
        retry_after_seconds=retry_after_seconds,
    )


def _kind(exc: Exception) -> _Kind | None:
    if isinstance(exc, PoolTimeoutError):
        return _Kind.BUSY
    if not isinstance(exc, DBAPIError):
        return None
    if exc.connection_invalidated:
        return _Kind.BUSY
    code = error_code(exc)
    if code is not None:
        return _kind_of_code(code)
    if isinstance(exc, DataError):  # refused by the driver before it was sent
        return _Kind.VALUE
    # A driver that lost its server, or never reached it, has no code to report.
    return _Kind.BUSY if isinstance(exc, OperationalError) else None


def error_code(exc: Exception) -> str | int | None:
    """SQLSTATE (psycopg, asyncpg), SQLite's error name, or MySQL's errno."""
    orig: Any = getattr(exc, "orig", None)
    code: str | None = getattr(orig, "sqlstate", None) or getattr(orig, "sqlite_errorname", None)
    if code is not None:
        return code
    args: tuple[object, ...] = getattr(orig, "args", ())
    return args[0] if args and isinstance(args[0], int) else None


def _kind_of_code(code: str | int) -> _Kind | None:
    if isinstance(code, int):
        return _MYSQL_ERRNOS.get(code)
    if code.startswith("SQLITE_"):
        return _Kind.BUSY if code.startswith(_SQLITE_CLASSES) else _SQLITE_NAMES.get(code)
    return _SQLSTATES.get(code) or _SQLSTATE_CLASSES.get(code[:2])


def _constraint_name(exc: DBAPIError) -> str | None:
    """PostgreSQL's own report: psycopg has it in ``diag``, asyncpg on the error it started as."""
    orig = exc.orig
    diag = getattr(orig, "diag", None) or getattr(orig, "__cause__", None)
    name: str | None = getattr(diag, "constraint_name", None)
    return name


def _sqlite_messages(item: Constraint | Index) -> list[str]:
    """What SQLite says when this is violated."""
    if isinstance(item, CheckConstraint):
        return [f"CHECK constraint failed: {item.name}"]
    if isinstance(item, UniqueConstraint | PrimaryKeyConstraint | Index):
        columns = ", ".join(f"{column.table.name}.{column.name}" for column in item.columns)
        # An index on an expression has no columns to name.
        return [f"UNIQUE constraint failed: {text}" for text in (columns, f"index '{item.name}'")]
    return []
