from tests.logs.capture import log_output, logging_restored

__all__ = ["log_output", "logging_restored"]
