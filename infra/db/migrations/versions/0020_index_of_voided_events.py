"""Rename the index of voided events after its column."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

OLD, NEW = "ix_events_voids", "ix_events_voided_event_id"


def _rename(before: str, after: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER INDEX {before} RENAME TO {after}")
        return
    op.drop_index(before, "events")
    columns = ["organisation_key", "voided_event_id"]
    op.create_index(after, "events", columns, sqlite_where=sa.text("voided_event_id IS NOT NULL"))


def upgrade() -> None:
    _rename(OLD, NEW)


def downgrade() -> None:
    _rename(NEW, OLD)
