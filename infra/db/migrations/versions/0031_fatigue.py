"""Add what was pushed to deliveries, and what rested to lists."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("item_ids", sa.Text()))
    op.add_column("lists", sa.Column("resting", sa.Text()))


def downgrade() -> None:
    op.drop_column("lists", "resting")
    op.drop_column("deliveries", "item_ids")
