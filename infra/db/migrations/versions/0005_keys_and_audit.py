"""Keys of the API, and the audit log with its chain of hashes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"


def _organisation_of(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_organisation_key")
    return sa.ForeignKeyConstraint(["organisation_key"], ["organisations.organisation_key"], name=name)


def upgrade() -> None:
    json = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text(), primary_key=True),
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("scopes", json, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.Column("last_used_at", sa.BigInteger()),
        _organisation_of("api_keys"),
    )
    op.create_table(
        "audit_heads",
        sa.Column("organisation_key", sa.Integer(), primary_key=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        _organisation_of("audit_heads"),
    )
    op.create_table(
        "audit_entries",
        sa.Column("organisation_key", sa.Integer(), primary_key=True),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.Column("hash", sa.Text(), nullable=False),
        _organisation_of("audit_entries"),
    )
    op.create_table(
        "audit_subjects",
        sa.Column("organisation_key", sa.Integer(), primary_key=True),
        sa.Column("member_id", sa.Text(), primary_key=True),
        sa.Column("secret", sa.Text(), nullable=False),
        _organisation_of("audit_subjects"),
    )


def downgrade() -> None:
    for table in ("audit_subjects", "audit_entries", "audit_heads", "api_keys"):
        op.drop_table(table)
