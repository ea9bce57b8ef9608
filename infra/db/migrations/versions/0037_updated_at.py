"""Add the time of the last change of items and members."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

TABLES = ("items", "members")


def upgrade() -> None:
    """Apply."""
    for table in TABLES:
        op.add_column(table, sa.Column("updated_at", sa.BigInteger()))


def downgrade() -> None:
    """Take back."""
    for table in TABLES:
        op.drop_column(table, "updated_at")
