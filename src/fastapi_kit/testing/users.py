"""Who is calling, in tests."""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from fastapi import FastAPI

__all__ = ["as_user"]

UserT = TypeVar("UserT")
UserT_contra = TypeVar("UserT_contra", contravariant=True)


class _Auth(Protocol[UserT_contra]):
    """What of `fastapi_kit.auth.Auth` is needed: tests without log-in need not import it."""

    def overrides_for(
        self, user: UserT_contra, *, scopes: Iterable[str] | None = None
    ) -> Mapping[Callable[..., Any], Callable[..., Any]]: ...


@contextmanager
def as_user(
    app: FastAPI,
    auth: _Auth[UserT],
    user: UserT,
    *,
    scopes: Iterable[str] | None = None,
) -> Generator[None]:
    """Make this user the caller of every request to the app inside the block.

    Guards keep running, so a user who may not do a thing is refused; no password, token or look-up
    of the user is needed. Blocks may be nested. A FastAPI app mounted in another has its own
    callers: give the one whose routes are called.

        with as_user(app, auth, editor):
            response = await client.delete("/items/1")

    Args:
        app: Whose routes are called.
        auth: The `Auth` of those routes.
        user: Who is calling, as `auth.current_user` gives it.
        scopes: What the token carries; ``None`` means every scope that the auth declares.

    Raises:
        ValueError: A scope is not declared.
    """
    overrides = auth.overrides_for(user, scopes=scopes)
    replaced = {key: app.dependency_overrides.get(key) for key in overrides}
    app.dependency_overrides.update(overrides)
    try:
        yield
    finally:
        for key, before in replaced.items():
            if before is None:
                del app.dependency_overrides[key]
            else:
                app.dependency_overrides[key] = before
