"""Run by Alembic, when the shop starts and for its command line."""

from examples.shop.items.models import Item
from examples.shop.orders.models import Order
from examples.shop.users.models import User
from fastapi_kit.db.migrations import run_migrations

tables = (User, Item, Order)  # importing them puts them into the metadata

run_migrations(User.metadata)
