"""What tokens must say."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi_kit.auth.principal import is_subject
from fastapi_kit.errors import ConfigurationError

__all__ = [
    "MAX_LEEWAY",
    "MAX_TTL",
    "MICROSECONDS_CLAIM",
    "TokenPolicy",
    "ttl_fault",
    "utc_now",
]

MIN_TTL = timedelta(seconds=1)
MAX_TTL = timedelta(days=366)
MAX_LEEWAY = timedelta(minutes=5)
MICROSECONDS_CLAIM = "iat_us"
"""A claim of our own (RFC 7519 section 4.3): what ``iat`` leaves out, so that a log-in in the same
second as "end all sessions" is known to be before or after."""
_SPOKEN_FOR = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}) | {
    *("client_id", "scope", "auth_time", "acr", "amr"),
    MICROSECONDS_CLAIM,
}
"""Claims that mean something else (RFC 7519 section 4.1, RFC 9068 section 2.2)."""


def utc_now() -> datetime:
    """This moment, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPolicy:
    """What access tokens say, for the one who issues them and for the ones who verify them.

    Args:
        issuer: ``iss`` (RFC 7519 section 4.1.1), compared as it stands: who issues the tokens,
            usually a URL. Give each service that shares a key its own.
        audience: ``aud`` (RFC 7519 section 4.1.3): who the tokens are for; ``None`` means the
            issuer. A verified token may name others beside it.
        access_ttl: How long an access token lives, from a second to 366 days; ``exp`` is when it
            ends (RFC 7519 section 4.1.4).
        leeway: How late ``exp`` and how early ``nbf`` may be, at most five minutes, for hosts
            whose clocks differ. A token's ``iat`` may be a minute ahead in any case.
        clock: Tells the time, aware; tests give their own.
        roles_claim: The claim that tells the user's roles to services without users of their own:
            ``"roles"`` by RFC 9068 section 2.2.3.1. Log-in writes it, and an `Auth` without users
            believes it. ``None`` neither writes nor reads one.
        permissions_claim: Likewise for the permissions, ``"entitlements"`` by the same section.

    Raises:
        ConfigurationError: A name is no string of 1 to 255 printable characters, a claim has
            another meaning already, a duration is out of range, or the clock is naive.
    """

    issuer: str
    audience: str | None = None
    access_ttl: timedelta = timedelta(minutes=30)
    leeway: timedelta = timedelta(0)
    clock: Callable[[], datetime] = utc_now
    roles_claim: str | None = None
    permissions_claim: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("issuer", self.issuer), ("audience", self.accepted_audience)):
            if not is_subject(value):
                raise ConfigurationError(
                    f"{name}={value!r} is not a string of 1 to 255 printable characters"
                )
        if fault := ttl_fault(self.access_ttl):
            raise ConfigurationError(f"access_{fault}")
        if not timedelta(0) <= self.leeway <= MAX_LEEWAY:
            raise ConfigurationError(f"leeway={self.leeway} is not from 0 to {MAX_LEEWAY}")
        if self.clock().tzinfo is None:
            raise ConfigurationError("clock() gives a naive datetime; give datetime.now(UTC)")
        self._check_claims()

    def _check_claims(self) -> None:
        chosen = {"roles_claim": self.roles_claim, "permissions_claim": self.permissions_claim}
        for option, claim in chosen.items():
            if claim is not None and (claim in _SPOKEN_FOR or not is_subject(claim)):
                raise ConfigurationError(
                    f"{option}={claim!r} cannot hold names; RFC 9068 section 2.2.3.1 has 'roles' "
                    "and 'entitlements'"
                )
        if self.roles_claim is not None and self.roles_claim == self.permissions_claim:
            raise ConfigurationError(
                f"roles_claim and permissions_claim are both {self.roles_claim!r}; a role would be "
                "a permission"
            )

    @property
    def accepted_audience(self) -> str:
        """The audience that a token must name."""
        return self.issuer if self.audience is None else self.audience


def ttl_fault(ttl: timedelta) -> str | None:
    """What is wrong with a token's lifetime, or ``None``."""
    # A lifetime of 0 is a mistake, never "for ever"; so is one beyond a year.
    if MIN_TTL <= ttl <= MAX_TTL:
        return None
    return f"ttl={ttl} is not from {MIN_TTL} to {MAX_TTL}"
