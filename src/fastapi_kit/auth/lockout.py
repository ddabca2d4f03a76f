"""Slows down whoever guesses passwords, without a way to keep somebody else from logging in.

A counter per account, the usual lock-out, hands everyone a switch that turns off any account
(OWASP Authentication Cheat Sheet, "Account Lockout"). So nobody's failures make another client
wait: what is counted are pairs of log-in name and client. That alone leaves an attack from many
addresses. For it OWASP tells clients that have succeeded before from those that have not, and
locks the latter out together ("Slow Down Online Guessing Attacks with Device Cookies"); we tell
them apart alike, by address, but keep each client's own first attempts.
"""

import hashlib
import logging
import secrets
import unicodedata
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Generic, Protocol, TypeVar

from fastapi_kit.auth.policy import utc_now
from fastapi_kit.errors import ConfigurationError

__all__ = ["Lockout", "LoginAttempt", "LoginLimiter", "MemoryLockout"]

logger: logging.Logger = logging.getLogger("fastapi_kit.auth")

ValueT = TypeVar("ValueT")

FAMILIAR_FREE_ATTEMPTS = 100
"""NIST SP 800-63B-4 section 3.2.2: no more than 100 consecutive failures."""
ALARM_FAILURES = 100
ALARM_WINDOW_SECONDS = 3600
ALARMED_FREE_ATTEMPTS = 3
FORGET_AFTER_SECONDS = 24 * 3600
"""Longer than it takes to win new free attempts by waiting, at the pace of the longest wait."""
FAMILIAR_CLIENTS = 8
"""Remembered of each log-in name: home, work, phone, ..."""


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """A log-in by password that is about to be checked (RFC 6749 section 4.3.2)."""

    login: str = field(repr=False)
    """The name as typed; at times a password, so keep it out of logs."""
    client_address: str | None
    """Where the request came from, as the server tells it; ``None`` where it does not."""


LoginLimiter = Callable[[LoginAttempt], Awaitable[None] | None]
"""Is asked before any password is hashed; refuses by raising `TooManyRequestsError`, or another
`AppError`, which becomes the token endpoint's answer. Sync or async."""


class Lockout(Protocol):
    """Makes clients that fail to log in wait. Counts an attempt before its outcome is known.

    An attempt begins, and then succeeds, is abandoned, or stays counted as a failure. Whatever a
    method raises is answered by 503, and nobody logs in meanwhile.
    """

    async def begin(self, login: str, client: str) -> float:
        """Seconds to wait; 0 lets the attempt go on, and counts it as a failure for now.

        Args:
            login: The name as typed, of a user or not; at times a password, so keep it out of logs.
            client: The client's address. Requests without one are not counted at all.
        """
        ...

    async def succeeded(self, login: str, client: str) -> None:
        """The attempt was no failure."""
        ...

    async def abandoned(self, login: str, client: str) -> None:
        """The attempt was not decided: something was down or busy."""
        ...


class MemoryLockout:
    """A `Lockout` of this process; the default.

    - A client that fails with one log-in name `free_attempts` times waits `first_wait`, then twice
      as long each time, `max_wait` at most; with that name only. A success clears it.
    - A client that has logged in with the name before has 100 attempts.
    - While clients that have not are failing with one name 100 times an hour, together, each of
      them has three attempts and then waits `max_wait`. A first attempt always goes through, and
      clients that have logged in before notice nothing.

    An IPv6 client is its /64 network. Clients behind one address count as one: behind a proxy the
    server must know the clients' own addresses (uvicorn: ``--forwarded-allow-ips``).

    It holds digests under a key of its own, not names. Each worker process counts for itself, and
    starts from nothing.

    Args:
        free_attempts: Failures of one client with one name before it waits.
        first_wait: The first wait.
        max_wait: The longest wait.
        max_entries: Pairs and names that are remembered, those longest unused being forgotten
            first. 10 000 take 12 MB at most.
        clock: Tells the time, aware; tests give their own.

    Raises:
        ConfigurationError: A number is below 1, or the waits are not 0 < first_wait <= max_wait.
    """

    def __init__(
        self,
        *,
        free_attempts: int = 10,
        first_wait: timedelta = timedelta(seconds=1),
        max_wait: timedelta = timedelta(minutes=15),
        max_entries: int = 10_000,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        if free_attempts < 1 or max_entries < 1:
            raise ConfigurationError(
                f"free_attempts={free_attempts} and max_entries={max_entries} must be 1 or more"
            )
        if not timedelta(0) < first_wait <= max_wait:
            raise ConfigurationError(
                f"first_wait={first_wait} must be more than 0 and not more than max_wait={max_wait}"
            )
        self._free_attempts = free_attempts
        self._first_wait = first_wait.total_seconds()
        self._max_wait = max_wait.total_seconds()
        self._clock = clock
        self._key = secrets.token_bytes(16)
        self._pairs: _Recent[_Pair] = _Recent(max_entries)
        self._failures: _Recent[_Failures] = _Recent(max_entries)
        self._familiar: _Recent[tuple[bytes, ...]] = _Recent(max_entries)

    async def begin(self, login: str, client: str) -> float:
        """As `Lockout.begin`."""
        now = self._clock().timestamp()
        name, pair_key = self._keys(login, client)
        pair = self._pairs.get(pair_key)
        if pair is None or now - pair.last_at > FORGET_AFTER_SECONDS:
            pair = _Pair()
        if now < pair.free_at:
            return pair.free_at - now
        pair.attempts += 1
        pair.last_at = now
        pair.free_at = now + self._wait(pair.attempts, name, pair_key, now)
        self._pairs.put(pair_key, pair)
        return 0

    async def succeeded(self, login: str, client: str) -> None:
        """As `Lockout.succeeded`."""
        name, pair_key = self._keys(login, client)
        self._pairs.pop(pair_key)
        self._take_back(name, pair_key)
        others = [key for key in self._familiar.get(name) or () if key != pair_key]
        self._familiar.put(name, (*others, pair_key)[-FAMILIAR_CLIENTS:])

    async def abandoned(self, login: str, client: str) -> None:
        """As `Lockout.abandoned`."""
        name, pair_key = self._keys(login, client)
        self._take_back(name, pair_key)
        pair = self._pairs.get(pair_key)
        if pair is not None:
            pair.attempts = max(0, pair.attempts - 1)
            pair.free_at = 0

    def _wait(self, attempts: int, name: bytes, pair_key: bytes, now: float) -> float:
        if self._is_familiar(name, pair_key):
            free = FAMILIAR_FREE_ATTEMPTS
        elif self._is_under_attack(name, now):
            return self._max_wait if attempts >= ALARMED_FREE_ATTEMPTS else 0
        else:
            free = self._free_attempts
        if attempts < free:
            return 0
        doublings = min(attempts - free, 64)  # beyond it the longest wait is reached in any case
        return min(self._first_wait * float(2**doublings), self._max_wait)

    def _is_under_attack(self, name: bytes, now: float) -> bool:
        failures = self._failures.get(name)
        if failures is None or now - failures.since > ALARM_WINDOW_SECONDS:
            failures = _Failures(since=now)
        failures.count += 1
        self._failures.put(name, failures)
        if failures.count == ALARM_FAILURES:
            logger.warning(
                "Log-in with one name failed %d times within an hour, by clients that never "
                "succeeded with it; such clients now have %d attempts each",
                ALARM_FAILURES,
                ALARMED_FREE_ATTEMPTS,
            )
        return failures.count >= ALARM_FAILURES

    def _take_back(self, name: bytes, pair_key: bytes) -> None:
        failures = self._failures.get(name)
        if failures is not None and not self._is_familiar(name, pair_key):
            failures.count = max(0, failures.count - 1)

    def _is_familiar(self, name: bytes, pair_key: bytes) -> bool:
        return pair_key in (self._familiar.get(name) or ())

    def _keys(self, login: str, client: str) -> tuple[bytes, bytes]:
        # The app's own look-up may not care for case or width: neither may the count.
        name = unicodedata.normalize("NFKC", login).strip().casefold()
        return self._digest(name), self._digest(f"{name}\n{_network(client)}")

    def _digest(self, text: str) -> bytes:
        data = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self._key, digest_size=16).digest()


@dataclass(slots=True)
class _Pair:
    """What one client has done with one log-in name since it last succeeded."""

    attempts: int = 0
    last_at: float = 0
    free_at: float = 0


@dataclass(slots=True)
class _Failures:
    """How often unfamiliar clients have failed with one log-in name."""

    since: float
    count: int = 0


class _Recent(Generic[ValueT]):
    """A mapping that forgets what was longest unused."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[bytes, ValueT] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> ValueT | None:
        return self._entries.get(key)

    def put(self, key: bytes, value: ValueT) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def pop(self, key: bytes) -> None:
        self._entries.pop(key, None)


def _network(client: str) -> str:
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    # One customer has at least this many addresses to change between.
    return str(IPv6Network((address, 64), strict=False))
