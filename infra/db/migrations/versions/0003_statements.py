"""xAPI statements, kept whole, and what they are found by."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "statements",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("stored_at", sa.BigInteger(), primary_key=True),
        sa.Column("statement_id", sa.Text(), nullable=False),
        sa.Column("voiding", sa.Boolean(), nullable=False),
        sa.Column("target_id", sa.Text()),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.UniqueConstraint(
            "organisation_key", "statement_id", name=op.f("uq_statements_organisation_key_statement_id")
        ),
    )
    op.create_index(
        "ix_statements_target_id",
        "statements",
        ["organisation_key", "target_id"],
        sqlite_where=sa.text("target_id IS NOT NULL"),
        postgresql_where=sa.text("target_id IS NOT NULL"),
    )
    op.create_table(
        "statement_terms",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("term", sa.Text(), primary_key=True),
        sa.Column("stored_at", sa.BigInteger(), primary_key=True),
        sa.Column("direct", sa.Boolean(), nullable=False),
    )
    op.create_index(
        "ix_statement_terms_organisation_key_stored_at", "statement_terms", ["organisation_key", "stored_at"]
    )


def downgrade() -> None:
    op.drop_table("statement_terms")
    op.drop_table("statements")
