"""Add experiments, and the experiment and variant that a list was made in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("variants", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("stopped_at", sa.BigInteger()),
    )
    op.add_column("lists", sa.Column("experiment", sa.Text()))
    op.add_column("lists", sa.Column("variant", sa.Text()))


def downgrade() -> None:
    op.drop_column("lists", "variant")
    op.drop_column("lists", "experiment")
    op.drop_table("experiments")
