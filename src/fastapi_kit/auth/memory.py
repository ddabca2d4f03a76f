"""Users kept in memory."""

from collections.abc import Iterable

from fastapi_kit.auth.passwords import PasswordHasher
from fastapi_kit.auth.principal import Principal
from fastapi_kit.errors import ConfigurationError

__all__ = ["MemoryUsers"]


class MemoryUsers:
    """Users that live and end with the process: for a first app, an example or a test.

    ``Auth.from_secret(secret, users=MemoryUsers(), ...)`` gives an ``Auth[Principal]``. An app with
    users of its own writes the five methods of `Users` on its own model instead.

    Args:
        hasher: Hashes the passwords; ``None`` means ``PasswordHasher()``.
    """

    def __init__(self, *, hasher: PasswordHasher | None = None) -> None:
        self._hasher = PasswordHasher() if hasher is None else hasher
        self._users: dict[str, Principal] = {}
        self._hashes: dict[str, str] = {}

    def add(
        self,
        login: str,
        password: str,
        *,
        roles: Iterable[str] = (),
        permissions: Iterable[str] = (),
        scopes: Iterable[str] | None = None,
    ) -> Principal:
        """Add a user; takes a fifth of a second, so do it where the app is made.

        Args:
            login: What they log in with; also their subject.
            password: Kept as a hash.
            roles: As `Principal.roles`.
            permissions: As `Principal.permissions`.
            scopes: As `Principal.scopes`.

        Raises:
            ConfigurationError: There is a user with this login.
            TypeError: The login cannot be a subject.
            UnusablePasswordError: The password is empty or too long.
        """
        if login in self._users:
            raise ConfigurationError(f"login={login!r} is there already; give each user their own")
        user = Principal(login, roles=roles, permissions=permissions, scopes=scopes)
        self._hashes[login] = self._hasher.hash_blocking(password)
        self._users[login] = user
        return user

    async def get(self, subject: str) -> Principal | None:
        """The user with this subject."""
        return self._users.get(subject)

    async def get_by_login(self, login: str) -> Principal | None:
        """The user with this login."""
        return self._users.get(login)

    def password_hash(self, user: Principal) -> str | None:
        """The user's password hash."""
        return self._hashes.get(user.subject)

    async def set_password_hash(self, user: Principal, password_hash: str) -> None:
        """Keep an upgraded hash."""
        self._hashes[user.subject] = password_hash

    def principal(self, user: Principal) -> Principal:
        """The user themselves."""
        return user
