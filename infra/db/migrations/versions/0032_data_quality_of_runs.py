"""Add the figures of data quality to runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("runs", sa.Column("data_quality", sa.JSON().with_variant(JSONB(), "postgresql")))


def downgrade() -> None:
    """Take back."""
    op.drop_column("runs", "data_quality")
