"""Run by Alembic, with the connection that `upgrade` gives."""

from alembic import context

from examples.shop.items.models import Item
from examples.shop.orders.models import Order
from examples.shop.users.models import User

tables = (User, Item, Order)  # importing them puts them into the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=User.metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
)
with context.begin_transaction():
    context.run_migrations()
