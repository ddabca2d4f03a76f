"""Databases: sessions that commit before the response, on SQLite and PostgreSQL.

What needs Alembic is in `fastapi_kit.db.migrations`.
"""

from fastapi_kit.db.base import Base
from fastapi_kit.db.database import Database
from fastapi_kit.db.dependencies import (
    DatabaseDep,
    ReadSessionDep,
    SessionDep,
    get_database,
    get_db,
    get_read_db,
)
from fastapi_kit.db.errors import StaleVersionError, database_errors
from fastapi_kit.db.etags import (
    IfMatch,
    IfMatchDep,
    IfNoneMatch,
    IfNoneMatchDep,
    InvalidETagError,
    PreconditionFailedError,
    PreconditionRequiredError,
    RequiredIfMatchDep,
    etag,
)
from fastapi_kit.db.export import CSVExport, JSONLinesExport
from fastapi_kit.db.mixins import SoftDeleteMixin, TimestampMixin, VersionMixin, with_deleted
from fastapi_kit.db.repository import Repository
from fastapi_kit.db.retries import run_transaction
from fastapi_kit.db.sync import SyncDatabase
from fastapi_kit.db.types import UnstorableMomentError, UTCDateTime
from fastapi_kit.db.url import async_url

__all__ = [
    "Base",
    "CSVExport",
    "Database",
    "DatabaseDep",
    "IfMatch",
    "IfMatchDep",
    "IfNoneMatch",
    "IfNoneMatchDep",
    "InvalidETagError",
    "JSONLinesExport",
    "PreconditionFailedError",
    "PreconditionRequiredError",
    "ReadSessionDep",
    "Repository",
    "RequiredIfMatchDep",
    "SessionDep",
    "SoftDeleteMixin",
    "StaleVersionError",
    "SyncDatabase",
    "TimestampMixin",
    "UTCDateTime",
    "UnstorableMomentError",
    "VersionMixin",
    "async_url",
    "database_errors",
    "etag",
    "get_database",
    "get_db",
    "get_read_db",
    "run_transaction",
    "with_deleted",
]
