"""Hashing and verifying passwords, off the event loop and within bounds."""

import logging
import secrets
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

from fastapi_kit.auth._passlib import argon2_context
from fastapi_kit.auth.exceptions import UnusablePasswordError
from fastapi_kit.errors import ConfigurationError, ServiceUnavailableError

__all__ = ["MAX_PASSWORD_BYTES", "PasswordHasher"]

logger: logging.Logger = logging.getLogger("fastapi_kit.auth")

ResultT = TypeVar("ResultT")

# RFC 9106 section 4, second recommended option: 64 MiB a hash.
RFC_9106_TIME_COST = 3
RFC_9106_MEMORY_COST_KIB = 64 * 1024
RFC_9106_PARALLELISM = 4
# The least that OWASP's Password Storage Cheat Sheet accepts: 7 MiB with 5 passes.
OWASP_MIN_MEMORY_COST_KIB = 7 * 1024
OWASP_MIN_WORK_KIB = 5 * 7 * 1024
MAX_PASSWORD_BYTES = 4096
"""UTF-8 bytes; where passlib stops. A token endpoint stops well before."""
BUSY_RETRY_SECONDS = 5
TEST_ENVIRONMENT = "test"
"""The one environment that gets a cheap hasher, by the name that `AppSettings` gives it."""


class PasswordHasher:
    """Hashes and verifies passwords without stopping the event loop.

    New hashes are argon2id. Hashes by pbkdf2, scrypt and, with the extra ``bcrypt``, by bcrypt
    verify too, and are upgraded by `verify_and_update`. bcrypt itself reads 72 bytes at most.

    Each hash takes `memory_cost_kib` of memory and a good part of a second, so only
    `max_concurrency` run at once: two take 128 MiB. Up to `max_waiting` callers queue for them, and
    any more are turned away at once by 503 with ``Retry-After``, so that neither memory nor the
    wait grows with the number of clients. Build one and share it
    (``Auth.from_secret(..., hasher=hasher)``), since each has a queue of its own.

    Building one tests every scheme on a known hash of the least cost, once per process, which takes
    some milliseconds; a full-cost hash at import would take a fifth of a second of each start.

    Args:
        time_cost: Passes over the memory; this and the next two are the second recommendation of
            RFC 9106 section 4.
        memory_cost_kib: Kibibytes a hash takes.
        parallelism: Lanes of argon2, each a thread.
        max_concurrency: How many hashes run at once in this process.
        max_waiting: How many callers may wait for their turn; 0 means none.

    Attributes:
        only_for_tests: Whether it is the cheap one of `for_tests`, with which `setup_app` refuses to
            start in staging and production.

    Raises:
        ConfigurationError: Cheaper than OWASP's least (7 MiB with 5 passes, or as much work in more
            memory), a number out of range, or argon2 does not work on this machine.
    """

    only_for_tests: bool = False

    def __init__(
        self,
        *,
        time_cost: int = RFC_9106_TIME_COST,
        memory_cost_kib: int = RFC_9106_MEMORY_COST_KIB,
        parallelism: int = RFC_9106_PARALLELISM,
        max_concurrency: int = 2,
        max_waiting: int = 64,
    ) -> None:
        _refuse_cheap(time_cost, memory_cost_kib)
        self._setup(time_cost, memory_cost_kib, parallelism, max_concurrency, max_waiting)

    @classmethod
    def for_tests(cls, *, environment: str = TEST_ENVIRONMENT) -> "PasswordHasher":
        """A hasher that takes microseconds and protects nothing, for test suites only.

        An app one of whose routes depends on an `Auth` that has it does not start in staging and
        production (`setup_app`).

        Args:
            environment: Where it would run. Code that is also served passes its settings'
                ``environment``, so that it cannot come to hash anyone's password.

        Raises:
            ConfigurationError: The environment is not ``"test"``.
        """
        if environment != TEST_ENVIRONMENT:
            raise ConfigurationError(
                f"PasswordHasher.for_tests() protects nothing and environment={environment!r} is "
                "not 'test'; use PasswordHasher(), or PasswordHasher.for_environment(...)"
            )
        hasher = cls.__new__(cls)
        hasher._setup(1, 8, 1, 2, 64)
        hasher.only_for_tests = True
        return hasher

    @classmethod
    def for_environment(cls, environment: str) -> "PasswordHasher":
        """The hasher for this environment: the cheap one in ``"test"``, the full one elsewhere.

        With it the app has one line for both, ``PasswordHasher.for_environment(
        settings.environment)``, and no way to be served with the cheap one by mistake.

        Args:
            environment: As `AppSettings.environment`; unknown ones get the full hasher.
        """
        if environment == TEST_ENVIRONMENT:
            return cls.for_tests(environment=environment)
        return cls()

    def _setup(
        self,
        time_cost: int,
        memory_cost_kib: int,
        parallelism: int,
        max_concurrency: int,
        max_waiting: int,
    ) -> None:
        if parallelism < 1 or max_concurrency < 1:
            raise ConfigurationError(
                f"parallelism={parallelism} and max_concurrency={max_concurrency} must be 1 or more"
            )
        if max_waiting < 0:
            raise ConfigurationError(f"max_waiting={max_waiting} must be 0 or more")
        self._context = argon2_context(
            time_cost=time_cost, memory_cost_kib=memory_cost_kib, parallelism=parallelism
        )
        self._dummy_hash = _hash_of_nothing(time_cost, memory_cost_kib, parallelism)
        self._max_concurrency = max_concurrency
        self._max_waiting = max_waiting
        self._queue: RunVar[_Queue] = RunVar("fastapi_kit.auth.passwords")

    async def hash(self, password: str) -> str:
        """A new argon2id hash of the password, with a salt of its own.

        Raises:
            UnusablePasswordError: It is empty, longer than 4096 bytes, or not valid Unicode; as an
                answer: 422.
            ServiceUnavailableError: Too many callers wait already.
        """
        return await self._run(lambda: self.hash_blocking(password))

    def hash_blocking(self, password: str) -> str:
        """As `hash`, in the calling thread: for scripts, and where an app is made.

        Raises:
            UnusablePasswordError: As for `hash`.
        """
        if fault := _fault(password):
            raise UnusablePasswordError(fault)
        return self._context.hash(password)

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the hash is this password's. Whatever comes in, it raises nothing for it.

        Args:
            password: As typed.
            password_hash: As stored. ``None``, or anything that is no hash, takes as much work as a
                wrong password does and is ``False``: pass ``None`` for unknown users.

        Raises:
            ServiceUnavailableError: Too many callers wait already.
        """
        if _fault(password) is not None:
            return False
        return await self._run(lambda: self._verify(password, password_hash))

    async def verify_and_update(
        self, password: str, password_hash: str | None
    ) -> tuple[bool, str | None]:
        """Whether the hash is this password's, and a new hash if the old one should be replaced.

        The second is ``None`` while the stored hash is argon2id with this hasher's own parameters,
        and when too many callers wait: an old hash can be replaced another time.

        Raises:
            ServiceUnavailableError: Too many callers wait already, to verify.
        """
        if not await self.verify(password, password_hash):
            return False, None
        return True, await self.updated_hash(password, password_hash)

    async def updated_hash(self, password: str, password_hash: str | None) -> str | None:
        """A new hash of a password that was found to fit, where the old one should be replaced.

        ``None`` where there is nothing to replace, or too many callers wait already.
        """
        if not self.needs_update(password_hash):
            return None
        try:
            return await self.hash(password)
        except ServiceUnavailableError:
            return None

    def needs_update(self, password_hash: str | None) -> bool:
        """Whether a hash is of an old scheme or of other parameters than this hasher's.

        ``False`` for ``None`` and for what is no hash: there is nothing to update.
        """
        try:
            return password_hash is not None and self._context.needs_update(password_hash)
        except Exception:  # noqa: BLE001  # as in `_verify`
            return False

    def _verify(self, password: str, password_hash: str | None) -> bool:
        if password_hash is not None:
            try:
                return self._context.verify(password, password_hash)
            except Exception as error:  # noqa: BLE001  # passlib and backends raise many kinds
                logger.warning(
                    "A stored password hash is corrupt, or of a scheme that is not usable here "
                    "(bcrypt needs the extra fastapi-kit[bcrypt]) or cannot read what was typed: %s",
                    type(error).__name__,
                )
        self._context.verify(password, self._dummy_hash)
        return False

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        queue = self._queue_of_this_loop()
        # Counted here, before anything is awaited; the limiter counts a caller only later.
        if queue.callers >= self._max_concurrency + self._max_waiting:
            raise ServiceUnavailableError(
                "Too many passwords are being checked at the moment; try again.",
                retry_after_seconds=BUSY_RETRY_SECONDS,
            )
        queue.callers += 1
        try:
            return await to_thread.run_sync(work, limiter=queue.limiter)
        finally:
            queue.callers -= 1

    def _queue_of_this_loop(self) -> "_Queue":
        queue = self._queue.get(None)
        if queue is None:
            queue = _Queue(CapacityLimiter(self._max_concurrency))
            self._queue.set(queue)
        return queue


@dataclass(slots=True)
class _Queue:
    """Who is hashing on one event loop, and who waits to."""

    limiter: CapacityLimiter
    callers: int = 0


def _refuse_cheap(time_cost: int, memory_cost_kib: int) -> None:
    if (
        memory_cost_kib < OWASP_MIN_MEMORY_COST_KIB
        or time_cost * memory_cost_kib < OWASP_MIN_WORK_KIB
    ):
        raise ConfigurationError(
            f"time_cost={time_cost} with memory_cost_kib={memory_cost_kib} is too cheap; use "
            f"{OWASP_MIN_MEMORY_COST_KIB} KiB or more, and {OWASP_MIN_WORK_KIB} or more as their "
            "product; in tests use PasswordHasher.for_tests()"
        )


def _fault(password: object) -> str | None:
    if not isinstance(password, str) or not password:
        return "The password is empty."
    # Checked first, so that a huge text is not encoded.
    if len(password) > MAX_PASSWORD_BYTES:
        return f"The password is longer than {MAX_PASSWORD_BYTES} bytes."
    try:
        size = len(password.encode())
    except UnicodeEncodeError:
        return "The password is not valid Unicode."
    return (
        f"The password is longer than {MAX_PASSWORD_BYTES} bytes."
        if size > MAX_PASSWORD_BYTES
        else None
    )


def _hash_of_nothing(time_cost: int, memory_cost_kib: int, parallelism: int) -> str:
    """A hash with our parameters that no password has: a digest that was drawn, not computed.

    It costs nothing to make, so there is nothing to warm; verifying against it does all the work.
    """
    salt, digest = (b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (16, 32))
    cost = f"m={memory_cost_kib},t={time_cost},p={parallelism}"
    return f"$argon2id$v=19${cost}${salt}${digest}"
