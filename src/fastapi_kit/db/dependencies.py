"""What routes ask for: a session that commits before the response.

A ``yield`` dependency of the default scope ends after the response and the background tasks: a
commit that fails there leaves the client with 201 and no row. So the two generators below run in
function scope only. They are private, and what users name (`get_db`, `SessionDep`) are plain
dependencies on them: whatever scope is written beside those, the session keeps its own, and all
spellings share one session in a request.
"""

from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends
from fastapi.requests import HTTPConnection
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_kit.db.database import DEFAULT_NAME, Database, state_key
from fastapi_kit.errors import ConfigurationError


async def get_database(connection: HTTPConnection) -> Database:
    """The app's database, found through the lifespan state; as a parameter, `DatabaseDep`.

    For routes that need sessions of their own: WebSockets (one per message) and streams.

    Raises:
        ConfigurationError: No lifespan of a database runs.
    """
    return _find_database(connection)


def _find_database(connection: HTTPConnection) -> Database:
    database = connection.scope.get("state", {}).get(state_key(DEFAULT_NAME))
    if database is None:
        raise ConfigurationError(
            "This route needs a database, and none was started with the app. Pass "
            "FastAPI(lifespan=db.lifespan), or compose(db.lifespan, ...), to the outermost app; "
            "in a test, run the lifespan (with TestClient(app) as client: ...)"
        )
    return cast("Database", database)


async def _session(connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
    async with _find_database(connection).session() as session:
        yield session


async def _read_session(connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
    async with _find_database(connection).read_session() as session:
        yield session


async def get_db(
    session: Annotated[AsyncSession, Depends(_session, scope="function")],
) -> AsyncSession:
    """The request's session, for ``Annotated[AsyncSession, Depends(get_db)]``.

    It commits after the route function and before the response is sent, so a commit that fails is
    what the client is told, and background tasks see only what was committed. Any error that is
    raised rolls back; a returned response commits, whatever its status.
    All uses in one request, `SessionDep` too, share one session.
    Replace it in tests by ``app.dependency_overrides[get_db]``.

    Raises:
        ConfigurationError: No lifespan of a database runs.
    """
    return session


async def get_read_db(
    session: Annotated[AsyncSession, Depends(_read_session, scope="function")],
) -> AsyncSession:
    """As `get_db`, with a session that the database refuses to write by.

    Cheaper on SQLite, where readers do not queue behind the writer. It is another session and
    another connection than `get_db`'s: use one kind in a request.

    Raises:
        ConfigurationError: No lifespan of a database runs.
    """
    return session


DatabaseDep = Annotated[Database, Depends(get_database)]
"""The app's `Database`; see `get_database`."""

SessionDep = Annotated[AsyncSession, Depends(get_db, scope="function")]
"""The request's session, which commits before the response; see `get_db`."""

ReadSessionDep = Annotated[AsyncSession, Depends(get_read_db, scope="function")]
"""A session for reading only; see `get_read_db`."""
