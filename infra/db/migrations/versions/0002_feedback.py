"""Index events by push list and by member."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index(
        "ix_events_push_list_id",
        "events",
        ["organisation_key", "push_list_id"],
        sqlite_where=sa.text("push_list_id IS NOT NULL"),
        postgresql_where=sa.text("push_list_id IS NOT NULL"),
    )
    op.create_index("ix_events_member_id", "events", ["organisation_key", "member_id"])
    op.create_index("ix_lists_organisation_key_list_id", "lists", ["organisation_key", "list_id"])


def downgrade() -> None:
    op.drop_index("ix_lists_organisation_key_list_id", table_name="lists")
    op.drop_index("ix_events_member_id", table_name="events")
    op.drop_index("ix_events_push_list_id", table_name="events")
