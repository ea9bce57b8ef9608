"""Rename the events' column ``voids`` to ``voided_event_id``."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("ALTER TABLE events RENAME COLUMN voids TO voided_event_id")


def downgrade() -> None:
    op.execute("ALTER TABLE events RENAME COLUMN voided_event_id TO voids")
