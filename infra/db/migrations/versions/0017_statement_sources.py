"""Position of the last statement pulled from each record store."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "statement_sources",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("url", sa.Text(), primary_key=True),
        sa.Column("pulled_until", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("statement_sources")
