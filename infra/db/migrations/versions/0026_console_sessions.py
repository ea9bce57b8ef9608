"""Add sessions of the console."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.create_table(
        "console_sessions",
        sa.Column("token_digest", sa.Text(), primary_key=True),
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), nullable=False),
        sa.Column("key_id", sa.Text(), sa.ForeignKey("api_keys.key_id"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("console_sessions")
