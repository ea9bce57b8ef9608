"""Rename the members' column ``organisation`` to ``units``, and the import status ``taken`` to ``imported``."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("ALTER TABLE members RENAME COLUMN organisation TO units")
    op.execute("UPDATE imports SET status = 'imported' WHERE status = 'taken'")
