# --8<-- [start:use]
from fastapi_kit import AppSettings


class Settings(AppSettings):
    mail_from: str = "shop@example.com"


settings = Settings()
# --8<-- [end:use]
