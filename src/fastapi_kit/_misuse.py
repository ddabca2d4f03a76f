"""Misuse, which the developer sees.

Apart from `fastapi_kit.errors`, which stands on the logs, which raise these.
"""


class ConfigurationError(ValueError):
    """The app is put together wrongly; raised while it is built, never by a request.

    The message names the offending value, the rule that it breaks and the remedy.
    """


class MissingExtraError(ConfigurationError, ImportError):
    """A block needs a package that an extra of fastapi-kit installs; the message names the extra."""

    def __init__(self, feature: str, *, package: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the package {package!r}, which is not installed. "
            f"Install it with the extra: fastapi-kit[{extra}]"
        )


for _error in (ConfigurationError, MissingExtraError):
    _error.__module__ = "fastapi_kit.errors"  # where users import them from
