"""Asking a store that may be down."""

import logging
from collections.abc import Awaitable
from typing import TypeVar

from fastapi_kit.errors import AppError, ServiceUnavailableError

__all__ = ["answered"]

logger: logging.Logger = logging.getLogger("fastapi_kit.auth")

ResultT = TypeVar("ResultT")

RETRY_AFTER_SECONDS = 5


async def answered(answer: Awaitable[ResultT], *, by: str, detail: str) -> ResultT:
    """A store's answer.

    Args:
        answer: What it was asked.
        by: Which store it is, for the log.
        detail: What cannot be known without it, for the client.

    Raises:
        ServiceUnavailableError: It gives none. The log has the kind of error, not its text, which
            could hold what was asked.
        AppError: As the store itself raised it.
    """
    try:
        return await answer
    except AppError:
        raise
    except Exception as error:  # noqa: BLE001  # drivers raise many kinds
        # SQLAlchemy keeps the driver's own error, which says more, in `orig`.
        kind = type(getattr(error, "orig", None) or error).__name__
    logger.error("%s does not answer: %s", by, kind)
    raise ServiceUnavailableError(detail, retry_after_seconds=RETRY_AFTER_SECONDS)
