"""Counts of each caller's requests in a minute, over all processes of the service."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "rate_counts",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("minute", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_rate_counts_organisation_key")
        ),
        sa.PrimaryKeyConstraint("organisation_key", "minute", "caller", name=op.f("pk_rate_counts")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("rate_counts")
