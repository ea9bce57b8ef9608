"""Add the time zone of an organisation, and a flag on events that have a date and no time."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("organisations", sa.Column("timezone", sa.Text()))
    op.add_column("events", sa.Column("date_only", sa.Boolean(), nullable=False, server_default=sa.false()))
    # Until now midnight UTC was the only sign of a date without a time.
    op.execute("UPDATE events SET date_only = true WHERE occurred_at % 86400000000 = 0")


def downgrade() -> None:
    op.drop_column("events", "date_only")
    op.drop_column("organisations", "timezone")
