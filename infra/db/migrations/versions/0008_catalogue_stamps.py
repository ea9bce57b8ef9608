"""A stamp of every catalogue; the triggers that raise it are in ``infra/stamps.py``."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "catalogue_stamps",
        sa.Column("organisation_key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"],
            ["organisations.organisation_key"],
            name=op.f("fk_catalogue_stamps_organisation_key"),
        ),
        sa.PrimaryKeyConstraint("organisation_key", name=op.f("pk_catalogue_stamps")),
    )


def downgrade() -> None:
    """Take back."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in ("items", "taxonomy_codes"):
        for event in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER IF EXISTS {table}_{event}" + ("" if on_sqlite else f" ON {table}"))
    op.drop_table("catalogue_stamps")
