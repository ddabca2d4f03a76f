"""Why a token is refused, on its way to the log."""

import logging

from fastapi_kit.auth.exceptions import InvalidTokenError

__all__ = ["Refusal", "refused"]

logger: logging.Logger = logging.getLogger("fastapi_kit.auth")


class Refusal(Exception):  # noqa: N818  # not an error of ours: it ends as an `InvalidTokenError`
    """The token does not hold.

    Args:
        reason: A constant sentence for the log, never with anything of the token in it: whoever
            sends tokens would be writing our log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def refused(refusal: Refusal, *, what: str = "Access token") -> InvalidTokenError:
    """The error that the client gets, once the reason is in the log."""
    logger.info("%s refused: %s", what, refusal.reason)
    return InvalidTokenError()
