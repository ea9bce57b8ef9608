"""Rename columns of the delivery to the field's terms."""

from alembic import op

revision = "0014"
down_revision = "0013"

RENAMED = (("endpoint_secrets", "sealed", "encrypted_secret"), ("deliveries", "settled_at", "finished_at"))


def upgrade() -> None:
    """Rename the columns."""
    for table, old, new in RENAMED:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")


def downgrade() -> None:
    """Give the columns their old names back."""
    for table, old, new in RENAMED:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")
