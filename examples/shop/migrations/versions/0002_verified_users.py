"""Whether users have shown that their e-mail address is theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "users", sa.Column("verified", sa.Boolean(), server_default=sa.false(), nullable=False)
    )


def downgrade() -> None:  # pragma: no cover  # a demo goes forward only
    op.drop_column("users", "verified")
