"""Add trials: backtests and searches of settings, with the digests of what they were made of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"

JSON_VALUE = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "trials",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("settings_digest", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("data_digest", sa.Text(), nullable=False),
        sa.Column("span", JSON_VALUE, nullable=False),
        sa.Column("settings", JSON_VALUE, nullable=False),
        sa.Column("results", JSON_VALUE, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("trials")
