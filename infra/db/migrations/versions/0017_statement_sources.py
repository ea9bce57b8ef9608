"""Position of the last statement pulled from each record store."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "statement_sources",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("pulled_until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_statement_sources_organisation_key")
        ),
        sa.PrimaryKeyConstraint("organisation_key", "url", name=op.f("pk_statement_sources")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("statement_sources")
