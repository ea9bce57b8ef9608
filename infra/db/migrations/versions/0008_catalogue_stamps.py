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


def downgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in ("items", "taxonomy_codes"):
        for event in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER IF EXISTS {table}_{event}" + ("" if on_sqlite else f" ON {table}"))
    op.drop_table("catalogue_stamps")
