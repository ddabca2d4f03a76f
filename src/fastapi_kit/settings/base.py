"""The settings class that an app's own settings inherit from."""

import re
import warnings
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypedDict

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.settings.safety import DEVELOPMENT_SECRET, secrets_in_code, weakness_of_secret
from fastapi_kit.settings.urls import DatabaseUrl, SecretUrl
from fastapi_kit.settings.variables import (
    SettingsWarning,
    accepts_none,
    is_list,
    split_list,
    text_sources,
    variable_name,
    warn_of_unknown,
)

_ORIGIN: Final = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/?#@\s]+")
_HOST: Final = re.compile(r"\*|(\*\.)?[^*:/\s]+")
GUARDED: Final = frozenset({"staging", "production"})
"""The environments in which what is unsafe is refused."""


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _origin(value: str) -> str:
    origin = value.strip().lower().removesuffix("/")
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("Input should be an origin such as https://app.example.com, or *")
    return origin


def _host(value: str) -> str:
    host = value.strip().lower()
    if not _HOST.fullmatch(host):
        raise ValueError("Input should be a host such as api.example.com, without scheme or port")
    return host


Environment = Annotated[
    Literal["development", "test", "staging", "production"], BeforeValidator(_lower)
]
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
]
LogFormat = Annotated[Literal["json", "console"], BeforeValidator(_lower)]
UrlPath = Annotated[str, Field(pattern=r"^/")]


def _log_format(data: dict[str, Any]) -> Literal["console", "json"]:
    return "console" if data.get("environment") == "development" else "json"


def _failure(settings_class: type[BaseSettings], error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"{settings_class.__name__} cannot be read: .env is not UTF-8; save it as UTF-8"
    if not isinstance(error, ValidationError):
        return f"{settings_class.__name__} cannot be read: {error}"
    lines = [
        f"- {_place(settings_class, entry['loc'])}: {entry['msg'].removeprefix('Value error, ')}"
        for entry in error.errors(include_input=False, include_context=False, include_url=False)
        if entry["type"] != "default_factory_not_called"  # follows from another line
    ]
    return "\n".join([f"{settings_class.__name__} has wrong or missing values:", *lines])


def _place(settings_class: type[BaseSettings], location: tuple[int | str, ...]) -> str:
    if not location:
        return settings_class.__name__
    return ".".join([variable_name(settings_class, str(location[0])), *map(str, location[1:])])


class AppOptions(TypedDict):
    """What `AppSettings.app_options` holds."""

    title: str
    version: str
    debug: bool
    docs_url: str | None
    redoc_url: str | None
    openapi_url: str | None
    max_body_size: int


class AppSettings(BaseSettings):
    """The settings of a service, read from the environment, ``.env`` and a secrets directory.

    Inherit, name a prefix, add fields: ``class Settings(AppSettings, env_prefix="SHOP_")``.
    Arguments win over the environment, that over ``.env``, that over ``secrets_dir=``.
    Lists are comma-separated, JSON or blank; blank is ``None`` where a field accepts it.
    Instances are immutable.

    In production and staging, all values unfit for it are refused at once.
    In development, those that were set there on purpose give a `SettingsWarning` each.
    With a prefix, so does a variable that has it and is no field.

    Raises:
        ConfigurationError: Values are wrong, missing, unknown, or unsafe in production.
            The message names each variable and never quotes a value.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8-sig",  # some editors begin the file with a byte order mark
        dotenv_filtering="only_existing",  # others may keep their variables in .env
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    project_name: str = Field("FastAPI app", description="Name of the service, shown in its docs.")
    version: str = Field("0.1.0", description="Version of the service, shown in its docs.")
    environment: Environment = Field(
        "development",
        description="Where the service runs. In staging and production unsafe values are refused.",
    )
    debug: bool = Field(
        default=False, description="Show tracebacks to clients. Never in production."
    )
    secret_key: SecretStr = Field(
        SecretStr(DEVELOPMENT_SECRET),
        description="Signs tokens. At least 32 bytes, secret, the same in all workers.",
    )
    database_url: DatabaseUrl = Field(
        SecretUrl("sqlite+aiosqlite:///./app.db"),
        description="Database. postgres://, postgresql:// and sqlite:// get their async drivers.",
    )
    redis_url: SecretUrl | None = Field(None, description="Redis. Blank: none.")
    workers: int = Field(
        1,
        ge=1,
        validation_alias="WEB_CONCURRENCY",
        description="Worker processes, as uvicorn and gunicorn read it. Checked, not started, here.",
    )
    cors_origins: list[Annotated[str, AfterValidator(_origin)]] = Field(
        [], description="Origins whose pages may call the service. Blank: none. `*`: all."
    )
    cors_allow_credentials: bool = Field(
        default=False,
        description="Let those pages send cookies and log-ins. Never with the origin `*`.",
    )
    allowed_hosts: list[Annotated[str, AfterValidator(_host)]] = Field(
        [], description="Accepted Host headers, such as `*.example.com`. Blank: any."
    )
    docs_url: UrlPath | None = Field("/docs", description="Path of Swagger UI. Blank: none.")
    redoc_url: UrlPath | None = Field("/redoc", description="Path of ReDoc. Blank: none.")
    openapi_url: UrlPath | None = Field(
        "/openapi.json", description="Path of the OpenAPI schema. Blank: none, and no docs."
    )
    root_path: Annotated[str, Field(pattern=r"^(/.*[^/])?$")] = Field(
        "", description="Path that a proxy strips off, such as `/api`."
    )
    max_body_size: Annotated[ByteSize, Field(ge=0)] = Field(
        ByteSize(1024 * 1024), description="Largest request body, in bytes or as `10MiB`."
    )
    log_level: LogLevel = Field("INFO", description="Least severe level that is logged.")
    log_format: LogFormat = Field(
        default_factory=_log_format,
        description="Format of log lines. Default: console in development, else json.",
    )

    def __init__(self, **values: Any) -> None:
        failure: str | None = None
        try:
            super().__init__(**values)
        except (SettingsError, UnicodeDecodeError, ValidationError) as error:
            failure = _failure(type(self), error)
        if failure is not None:
            # Not inside the except block: __context__ would carry the values to error trackers.
            raise ConfigurationError(failure)
        self._refuse_unsafe()

    @classmethod
    def load(cls) -> Self:
        """The settings of this process: read on the first call, the same object ever after.

        Fits ``Depends(Settings.load)``. ``settings_clear_cache()`` makes the next call read again.

        Raises:
            ConfigurationError: As for the class.
        """
        return cls.settings_cached()

    @classmethod
    def for_tests(cls, **overrides: Any) -> Self:
        """Settings from the defaults and ``overrides`` alone: no environment, file or cache.

        Args:
            **overrides: Values by field name. ``environment`` is ``"test"`` unless given.

        Raises:
            ConfigurationError: As for the class.
        """
        values = {"environment": "test", **overrides}
        return cls(_build_sources=((InitSettingsSource(cls, init_kwargs=values),), values))

    @property
    def is_production(self) -> bool:
        """Whether the environment is production."""
        return self.environment == "production"

    @property
    def app_options(self) -> AppOptions:
        """The arguments of ``FastAPI`` that are settings: ``FastAPI(**settings.app_options)``."""
        return {
            "title": self.project_name,
            "version": self.version,
            "debug": self.debug,
            "docs_url": self.docs_url,
            "redoc_url": self.redoc_url,
            "openapi_url": self.openapi_url,
            "max_body_size": self.max_body_size,
        }

    def unsafe_values(self) -> dict[str, str]:
        """The fields that are unfit for production: why, and the remedy.

        Extend it for fields of your own: ``{**super().unsafe_values(), "mail_from": "is ..."}``.
        A text follows the variable's name, and must not hold the value of a secret.
        """
        unsafe = secrets_in_code(type(self).model_fields, vars(self))
        if weakness := weakness_of_secret(self.secret_key):
            unsafe["secret_key"] = weakness
        if self.debug:
            unsafe["debug"] = "shows tracebacks to clients; set it to false"
        if "*" in self.cors_origins and self.cors_allow_credentials:
            unsafe["cors_origins"] = (
                "lets every web site act as a logged-in user, being * with credentials; "
                "list the origins, or allow no credentials"
            )
        if self.workers > 1 and self.database_url.startswith("sqlite"):
            unsafe["workers"] = (
                f"is {self.workers}, but SQLite serves one process well; "
                f"set it to 1, or {variable_name(type(self), 'database_url')} to PostgreSQL"
            )
        return unsafe

    def _refuse_unsafe(self) -> None:
        unsafe = {
            name: f"{variable_name(type(self), name)} {reason}"
            for name, reason in self.unsafe_values().items()
        }
        if unsafe and self.environment in GUARDED:
            lines = "\n".join(f"- {line}" for line in unsafe.values())
            raise ConfigurationError(f"unsafe settings in {self.environment}:\n{lines}")
        if self.environment == "development":
            for name in unsafe.keys() & self.model_fields_set:
                warnings.warn(
                    f"production will refuse this: {unsafe[name]}", SettingsWarning, stacklevel=3
                )

    @field_validator("project_name", "version")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():  # FastAPI's own refusal, later, names no variable
            raise ValueError("Input should not be blank")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _from_text(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        if not isinstance(value, str):
            return value
        if accepts_none(field) and not str.strip(value):
            return None
        return split_list(value) if is_list(field) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where values come from, the strongest source first; see pydantic-settings."""
        environment, dotenv, files = text_sources(
            env_settings, dotenv_settings, file_secret_settings
        )
        warn_of_unknown(settings_cls, [dotenv.env_vars, environment.env_vars], stacklevel=6)
        return init_settings, environment, dotenv, files
