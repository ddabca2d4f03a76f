"""One shape for every error that a client can see: problem details (RFC 9457)."""

from fastapi_kit._misuse import ConfigurationError, MissingExtraError
from fastapi_kit.errors.exceptions import (
    AppError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
    UnprocessableError,
)
from fastapi_kit.errors.handlers import ErrorMap, add_error_handlers
from fastapi_kit.errors.openapi import error_responses
from fastapi_kit.errors.problem import FieldError, ProblemDetails, ProblemResponse

__all__ = [
    "AppError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "ErrorMap",
    "FieldError",
    "ForbiddenError",
    "MissingExtraError",
    "NotFoundError",
    "ProblemDetails",
    "ProblemResponse",
    "ServiceUnavailableError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnprocessableError",
    "add_error_handlers",
    "error_responses",
]
