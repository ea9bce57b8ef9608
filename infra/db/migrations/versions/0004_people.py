"""Shared items, units with names, how long events are kept, and what is left of those that went."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "units",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("name_zh", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_units_organisation_key")
        ),
        sa.PrimaryKeyConstraint("organisation_key", "unit", name=op.f("pk_units")),
    )
    op.create_table(
        "study_totals",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("members", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_study_totals_organisation_key")
        ),
        sa.PrimaryKeyConstraint("organisation_key", "month", "item_id", "verb", name=op.f("pk_study_totals")),
    )
    with op.batch_alter_table("organisations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("keep_events_days", sa.Integer(), nullable=True))
    with op.batch_alter_table("items", schema=None) as batch_op:
        batch_op.add_column(sa.Column("shared", sa.Boolean(), nullable=True))
        batch_op.create_index(
            "ix_items_shared",
            ["item_id"],
            unique=False,
            sqlite_where=sa.text("shared IS 1"),
            postgresql_where=sa.text("shared IS true"),
        )


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("items", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_items_shared", sqlite_where=sa.text("shared IS 1"), postgresql_where=sa.text("shared IS true")
        )
        batch_op.drop_column("shared")
    with op.batch_alter_table("organisations", schema=None) as batch_op:
        batch_op.drop_column("keep_events_days")
    op.drop_table("study_totals")
    op.drop_table("units")
