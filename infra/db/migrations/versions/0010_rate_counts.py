"""Counts of each caller's requests in a minute, over all processes of the service."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "rate_counts",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("minute", sa.BigInteger(), autoincrement=False, primary_key=True),
        sa.Column("caller", sa.Text(), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("rate_counts")
