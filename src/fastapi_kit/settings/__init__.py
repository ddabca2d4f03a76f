"""Settings of a service: typed, from the environment, and refused when unsafe in production."""

from fastapi_kit.settings.base import AppOptions, AppSettings
from fastapi_kit.settings.document import env_example, settings_table
from fastapi_kit.settings.urls import DatabaseUrl, SecretUrl
from fastapi_kit.settings.variables import SettingsWarning

__all__ = [
    "AppOptions",
    "AppSettings",
    "DatabaseUrl",
    "SecretUrl",
    "SettingsWarning",
    "env_example",
    "settings_table",
]
