"""What the server imports: ``uvicorn examples.shop.main:app``."""

from examples.shop.app import create_app
from examples.shop.settings import Settings

app = create_app(Settings.load())
