"""Which variables a settings class reads, and how their text becomes values."""

import difflib
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import AliasChoices, AliasPath
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
)

# Kubernetes sets these for each service of the namespace; a service "shop" gets the prefix SHOP_.
_SERVICE_LINK: Final = re.compile(r"_(service_(host|port\w*)|port_\d+_(tcp|udp|sctp)\w*)$")
_SERVICE_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://")


class SettingsWarning(UserWarning):
    """A setting is probably not what was meant: a misspelt name, or a value unfit for production."""


def members(annotation: Any) -> Iterator[Any]:
    """The types that a value may have: a union's members, without ``Annotated``."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from members(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from members(member)
    else:
        yield annotation


def accepts_none(field: FieldInfo) -> bool:
    """Whether ``None`` is among the field's types."""
    return any(member in (None, NoneType) for member in members(field.annotation))


def is_list(field: FieldInfo) -> bool:
    """Whether a list, tuple or set is among the field's types."""
    kinds = (list, tuple, set, frozenset)
    return any((get_origin(member) or member) in kinds for member in members(field.annotation))


def _choices(field: FieldInfo) -> list[str | AliasPath]:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return alias.choices
    return [] if alias is None else [alias]


def _aliases(field: FieldInfo) -> list[str]:
    return [
        choice if isinstance(choice, str) else str(choice.path[0]) for choice in _choices(field)
    ]


def variable_names(settings_class: type[BaseSettings], name: str) -> list[str]:
    """The environment variables that a field is read from, the usual spelling first."""
    config = settings_class.model_config
    prefix, target = config.get("env_prefix", ""), config.get("env_prefix_target", "variable")
    aliases = _aliases(settings_class.model_fields[name])
    names = [(prefix if target != "variable" else "") + alias for alias in aliases]
    if not aliases or config.get("validate_by_name") or config.get("populate_by_name"):
        names.insert(0, (prefix if target != "alias" else "") + name)
    return names if config.get("case_sensitive") else [name.upper() for name in names]


def variable_name(settings_class: type[BaseSettings], key: str) -> str:
    """What a person calls a field: its variables; an unknown key stays as it is."""
    for name, field in settings_class.model_fields.items():
        if key == name or key in _aliases(field):
            return " or ".join(variable_names(settings_class, name))
    return key


def split_list(text: str) -> Any:
    """The items of comma-separated or JSON text; text that is neither is given back as it is."""
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


class _TextSource(PydanticBaseSettingsSource):
    def __call__(self) -> dict[str, Any]:
        """The values by the key that arguments have too: the first alias, else the name.

        Upstream gives them by the variable that was found, and one source's ``workers`` beside
        another's ``WEB_CONCURRENCY`` would be refused as an unknown key.
        """
        values: dict[str, Any] = super().__call__()  # type: ignore[safe-super]
        for name, field in self.settings_cls.model_fields.items():
            key, *others = [*_choices(field), name]
            for other in others:
                if isinstance(key, str) and other in values:
                    values.setdefault(key, values.pop(str(other)))
        return values

    def decode_complex_value(self, field_name: str, field: FieldInfo | None, value: Any) -> Any:
        if field is not None and not value.strip() and accepts_none(field):
            return ""
        if field is not None and is_list(field):
            return split_list(value)
        try:
            # Upstream passes None for parts of nested dictionaries, against its own signature.
            return super().decode_complex_value(field_name, field, value)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        except ValueError:
            return value  # validation then reports it by its variable, with all the others


class _Environment(_TextSource, EnvSettingsSource):
    pass


class _DotEnv(_TextSource, DotEnvSettingsSource):
    pass


class _Secrets(_TextSource, SecretsSettingsSource):
    pass


_Source = TypeVar("_Source", bound=_TextSource)


def _as(kind: type[_Source], source: PydanticBaseSettingsSource) -> _Source:
    """The same source with our decoding.

    Copied and not built again, because ``.env`` may be a pipe, which can be read only once.
    """
    copy = kind.__new__(kind)
    vars(copy).update(vars(source))
    return copy


def text_sources(
    environment: PydanticBaseSettingsSource,
    dotenv: PydanticBaseSettingsSource,
    secrets: PydanticBaseSettingsSource,
) -> tuple[_Environment, _DotEnv, _Secrets]:
    """The sources with lists from CSV, JSON or blank; absent secrets directories are left out."""
    files = _as(_Secrets, secrets)
    directories = files.secrets_dir
    if isinstance(directories, (str, Path)):
        directories = [directories]
    present = [path for path in directories or () if Path(path).expanduser().exists()]
    files.secrets_dir = present or None
    return _as(_Environment, environment), _as(_DotEnv, dotenv), files


def _is_service_link(key: str, value: str | None) -> bool:
    return bool(_SERVICE_LINK.search(key) or (value and _SERVICE_ADDRESS.match(value)))


def warn_of_unknown(
    settings_class: type[BaseSettings],
    found: Iterable[Mapping[str, str | None]],
    *,
    stacklevel: int,
) -> None:
    """Warn of each variable that has the class's prefix and is none of its fields.

    Args:
        settings_class: Whose fields are known. Without a prefix nothing can be told apart.
        found: The variables of each source.
        stacklevel: Frames up to the code that made the settings.
    """
    config = settings_class.model_config
    prefix = config.get("env_prefix", "").lower()
    if not prefix:
        return
    known = {
        variable.lower(): variable
        for name in settings_class.model_fields
        for variable in variable_names(settings_class, name)
    }
    delimiter = (config.get("env_nested_delimiter") or "").lower()
    variables = {key.lower(): value for source in found for key, value in source.items()}
    for key, value in variables.items():
        if not key.startswith(prefix) or _is_service_link(key, value):
            continue
        name = key.removeprefix(prefix)
        head = prefix + (name.split(delimiter, 1)[0] if delimiter else name)
        if {key, head}.isdisjoint(known):
            close = difflib.get_close_matches(key, known, n=1)
            advice = f"did you mean {known[close[0]]}?" if close else "it is not read; remove it"
            warnings.warn(
                f"{key.upper()} is no setting of {settings_class.__name__}: {advice}",
                SettingsWarning,
                stacklevel=stacklevel,
            )
