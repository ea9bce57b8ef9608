"""Shared items, units with names, how long events are kept, and what is left of those that went."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "units",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("unit", sa.Text(), primary_key=True),
        sa.Column("name_en", sa.Text()),
        sa.Column("name_zh", sa.Text()),
    )
    op.create_table(
        "study_totals",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("month", sa.Text(), primary_key=True),
        sa.Column("item_id", sa.Text(), primary_key=True),
        sa.Column("verb", sa.Text(), primary_key=True),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("members", sa.BigInteger(), nullable=False),
    )
    op.add_column("organisations", sa.Column("keep_events_days", sa.Integer()))
    op.add_column("items", sa.Column("shared", sa.Boolean()))
    op.create_index(
        "ix_items_shared",
        "items",
        ["item_id"],
        sqlite_where=sa.text("shared IS 1"),
        postgresql_where=sa.text("shared IS true"),
    )


def downgrade() -> None:
    with op.batch_alter_table("items") as batch_op:
        batch_op.drop_index("ix_items_shared")
        batch_op.drop_column("shared")
    with op.batch_alter_table("organisations") as batch_op:
        batch_op.drop_column("keep_events_days")
    op.drop_table("study_totals")
    op.drop_table("units")
