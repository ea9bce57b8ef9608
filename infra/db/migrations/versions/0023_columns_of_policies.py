"""Columns that policies read: advised prerequisites, series and live sessions of items, wishes of members."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

ITEMS = {
    "advised_prerequisites": sa.Text(),
    "series": sa.Text(),
    "series_position": sa.Double(),
    "starts_at": sa.BigInteger(),
    "ends_at": sa.BigInteger(),
}
MEMBERS = {"less_topics": sa.Text(), "follows": sa.Text()}


def upgrade() -> None:
    for table, columns in (("items", ITEMS), ("members", MEMBERS)):
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind))


def downgrade() -> None:
    for table, columns in (("members", MEMBERS), ("items", ITEMS)):
        for name in reversed(columns):
            op.drop_column(table, name)
