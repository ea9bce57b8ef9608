"""Add experiments, and the experiment and variant that a list was made in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "experiments",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("variants", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("stopped_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name="fk_experiments_organisation_key"
        ),
        sa.PrimaryKeyConstraint("organisation_key", "name", name="pk_experiments"),
    )
    op.add_column("lists", sa.Column("experiment", sa.Text()))
    op.add_column("lists", sa.Column("variant", sa.Text()))


def downgrade() -> None:
    """Take back."""
    op.drop_column("lists", "variant")
    op.drop_column("lists", "experiment")
    op.drop_table("experiments")
