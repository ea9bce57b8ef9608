"""Add sessions of the console."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "console_sessions",
        sa.Column("token_digest", sa.Text(), nullable=False),
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name="fk_console_sessions_organisation_key"
        ),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.key_id"], name="fk_console_sessions_key_id"),
        sa.PrimaryKeyConstraint("token_digest", name="pk_console_sessions"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("console_sessions")
