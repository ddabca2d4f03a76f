from pathlib import Path

from pydantic import Field

from fastapi_kit.settings import AppSettings, DatabaseUrl, SecretUrl


class Settings(AppSettings, env_prefix="SHOP_"):
    project_name: str = Field("The shop", description="Name of the service, shown in its docs.")
    version: str = Field("1.0.0", description="Version of the service, shown in its docs.")
    database_url: DatabaseUrl = Field(
        SecretUrl("sqlite+aiosqlite:///./shop.db"), description="SQLite or PostgreSQL."
    )
    mail_folder: Path = Field(
        Path("outbox"), description="Where mails are put in development, a file each."
    )

    @property
    def has_demo_data(self) -> bool:
        """Demo users have a password that everyone knows: never outside of development."""
        return self.environment in ("development", "test")
