"""Rename the members' column ``organisation`` to ``units``, and the import status ``taken`` to ``imported``."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.execute("ALTER TABLE members RENAME COLUMN organisation TO units")
    op.execute("UPDATE imports SET status = 'imported' WHERE status = 'taken'")


def downgrade() -> None:
    """Take back."""
    op.execute("UPDATE imports SET status = 'taken' WHERE status = 'imported'")
    op.execute("ALTER TABLE members RENAME COLUMN units TO organisation")
