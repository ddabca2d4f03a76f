"""What happened at log-in and to sessions: who, what, from where and why; never a secret."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Final, Literal

__all__ = ["AuditHook", "AuthEvent", "EventName", "log_event", "report"]

logger: logging.Logger = logging.getLogger("fastapi_kit.auth")

EventName = Literal[
    "login",
    "login_refused",
    "refresh",
    "refresh_refused",
    "refresh_reused",
    "revoke",
    "logout",
    "logout_all",
]

_WORDS: Final[dict[EventName, str]] = {
    "login": "Log-in",
    "login_refused": "Log-in",
    "refresh": "Refresh",
    "refresh_refused": "Refresh",
    "refresh_reused": "Refresh",
    "revoke": "Revocation of a token",
    "logout": "Log-out",
    "logout_all": "Log-out everywhere",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthEvent:
    """One thing that happened at log-in or to a session.

    It never holds a password, token, hash, or what was typed as the log-in name, which at times is
    a password.
    """

    name: EventName
    """``refresh_reused`` is the one to wake somebody for: a refresh token was used twice, so one of
    the two had stolen it. The session is ended."""
    subject: str | None = None
    """As `Principal.subject`; ``None`` where no user is known."""
    client_address: str | None = None
    """Where the request came from, as the server tells it; ``None`` where it does not."""
    session: str | None = None
    """Names the session, the same through all its refreshes; ``None`` where there is none."""
    reason: str | None = None
    """Why something was refused: a constant sentence, nothing of the request in it."""

    def __str__(self) -> str:
        of = "" if self.subject is None else f" of subject {self.subject!r}"
        why = "" if self.reason is None else f" refused: {self.reason}"
        return f"{_WORDS[self.name]}{of}{why}"


AuditHook = Callable[[AuthEvent], Awaitable[None] | None]
"""Is told each event, after the log was; sync or async. What it raises is logged and goes no
further: a log-in does not fail for its audit trail."""


def log_event(event: AuthEvent) -> None:
    """Write the event to the log ``fastapi_kit.auth``; refusals are warnings."""
    level = logging.INFO if event.reason is None else logging.WARNING
    fields = {"client.address": event.client_address, "auth.session": event.session}
    extra = {name: value for name, value in fields.items() if value is not None}
    logger.log(level, "%s", event, extra=extra)


async def report(event: AuthEvent, hook: AuditHook | None) -> None:
    """Log the event and tell the hook."""
    log_event(event)
    if hook is None:
        return
    try:
        told: Any = hook(event)
        if isawaitable(told):
            await told
    except Exception as error:  # noqa: BLE001  # whatever the app's own code raises
        logger.error("The audit hook failed: %s", type(error).__name__)  # noqa: TRY400
