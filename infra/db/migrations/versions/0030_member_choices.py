"""Add choices of members: items saved for later; lists keep those of their night."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "member_choices",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("chosen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name="fk_member_choices_organisation_key"
        ),
        sa.PrimaryKeyConstraint("organisation_key", "member_id", "kind", "value", name="pk_member_choices"),
    )
    op.add_column("lists", sa.Column("saved", sa.Text()))


def downgrade() -> None:
    """Take back."""
    op.drop_column("lists", "saved")
    op.drop_table("member_choices")
