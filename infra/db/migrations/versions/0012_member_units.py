"""Rename the members' column ``organisation`` to ``units``, and the import status ``taken`` to ``imported``."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("ALTER TABLE members RENAME COLUMN organisation TO units")
    op.execute("UPDATE imports SET status = 'imported' WHERE status = 'taken'")


def downgrade() -> None:
    op.execute("UPDATE imports SET status = 'taken' WHERE status = 'imported'")
    op.execute("ALTER TABLE members RENAME COLUMN units TO organisation")
