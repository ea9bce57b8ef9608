"""Contents of attachments of xAPI statements."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "statement_attachments",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.Column("sha2", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"],
            ["organisations.organisation_key"],
            name=op.f("fk_statement_attachments_organisation_key"),
        ),
        sa.PrimaryKeyConstraint("organisation_key", "stored_at", "sha2", name=op.f("pk_statement_attachments")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("statement_attachments")
