"""Folders that data of members was written to, so that an erasure finds them."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "data_folders",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("path", sa.Text(), primary_key=True),
        sa.Column("host", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("data_folders")
