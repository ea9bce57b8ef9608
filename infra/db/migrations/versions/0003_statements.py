"""xAPI statements, kept whole, and what they are found by."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "statements",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.Column("statement_id", sa.Text(), nullable=False),
        sa.Column("voiding", sa.Boolean(), nullable=False),
        sa.Column("target_id", sa.Text(), nullable=True),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_statements_organisation_key")
        ),
        sa.PrimaryKeyConstraint("organisation_key", "stored_at", name=op.f("pk_statements")),
        sa.UniqueConstraint(
            "organisation_key", "statement_id", name=op.f("uq_statements_organisation_key_statement_id")
        ),
    )
    with op.batch_alter_table("statements", schema=None) as batch_op:
        batch_op.create_index(
            "ix_statements_target_id",
            ["organisation_key", "target_id"],
            unique=False,
            sqlite_where=sa.text("target_id IS NOT NULL"),
            postgresql_where=sa.text("target_id IS NOT NULL"),
        )
    op.create_table(
        "statement_terms",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("term", sa.Text(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.Column("direct", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_statement_terms_organisation_key")
        ),
        sa.PrimaryKeyConstraint("organisation_key", "term", "stored_at", name=op.f("pk_statement_terms")),
    )
    with op.batch_alter_table("statement_terms", schema=None) as batch_op:
        batch_op.create_index(
            "ix_statement_terms_organisation_key_stored_at", ["organisation_key", "stored_at"], unique=False
        )


def downgrade() -> None:
    """Take back."""
    op.drop_table("statement_terms")
    op.drop_table("statements")
