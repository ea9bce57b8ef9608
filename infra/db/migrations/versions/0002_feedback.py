"""Index events by push list and by member."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("events") as batch_op:
        batch_op.create_index(
            "ix_events_push_list_id",
            ["organisation_key", "push_list_id"],
            sqlite_where=sa.text("push_list_id IS NOT NULL"),
            postgresql_where=sa.text("push_list_id IS NOT NULL"),
        )
        batch_op.create_index("ix_events_member_id", ["organisation_key", "member_id"])
    with op.batch_alter_table("lists") as batch_op:
        batch_op.create_index("ix_lists_organisation_key_list_id", ["organisation_key", "list_id"])


def downgrade() -> None:
    with op.batch_alter_table("lists") as batch_op:
        batch_op.drop_index("ix_lists_organisation_key_list_id")
    with op.batch_alter_table("events") as batch_op:
        batch_op.drop_index("ix_events_member_id")
        batch_op.drop_index("ix_events_push_list_id")
