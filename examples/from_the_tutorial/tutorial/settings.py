# --8<-- [start:taught]
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env")

    environment: str = "development"
    secret_key: str = "CHANGE_ME"
    mail_from: str = "shop@example.com"


settings = Settings()
# --8<-- [end:taught]
