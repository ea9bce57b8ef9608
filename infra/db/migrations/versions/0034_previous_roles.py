"""Add the previous role and industry of members, and the day on which they changed."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"

COLUMNS = {"previous_role": sa.Text, "previous_industry": sa.Text, "moved_on": sa.BigInteger}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("members", sa.Column(name, kind()))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("members", name)
