"""Add the devices of members, and an index by which items that need one are found."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.add_column("members", sa.Column("devices", sa.Text()))
    op.create_index("ix_items_format", "items", ["format"])


def downgrade() -> None:
    op.drop_index("ix_items_format", table_name="items")
    op.drop_column("members", "devices")
