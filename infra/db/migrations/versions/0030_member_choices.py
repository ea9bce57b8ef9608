"""Add choices of members: items saved for later; lists keep those of their night."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.create_table(
        "member_choices",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("member_id", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), primary_key=True),
        sa.Column("chosen_at", sa.BigInteger(), nullable=False),
    )
    op.add_column("lists", sa.Column("saved", sa.Text()))


def downgrade() -> None:
    op.drop_column("lists", "saved")
    op.drop_table("member_choices")
