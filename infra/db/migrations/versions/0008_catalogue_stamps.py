"""A stamp of every catalogue; the triggers that raise it are in ``infra/stamps.py``."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "catalogue_stamps",
        sa.Column(
            "organisation_key",
            sa.Integer(),
            sa.ForeignKey("organisations.organisation_key"),
            autoincrement=False,
            primary_key=True,
        ),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
    )
