"""Add trials: backtests and searches of settings, with the digests of what they were made of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

JSON_VALUE = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "trials",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("settings_digest", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("data_digest", sa.Text(), nullable=False),
        sa.Column("span", JSON_VALUE, nullable=False),
        sa.Column("settings", JSON_VALUE, nullable=False),
        sa.Column("results", JSON_VALUE, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name="fk_trials_organisation_key"
        ),
        sa.PrimaryKeyConstraint("organisation_key", "number", name="pk_trials"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("trials")
