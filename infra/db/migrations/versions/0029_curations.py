"""Add curations, and what lists keep of them."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.create_table(
        "curations",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("curation_id", sa.Text(), primary_key=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.Text())
            for name in ("target_roles", "target_industries", "target_units", "target_regions")
        ),
        sa.Column("starts_at", sa.BigInteger()),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("places", sa.Double()),
    )
    op.add_column("lists", sa.Column("curated", sa.Text()))


def downgrade() -> None:
    op.drop_column("lists", "curated")
    op.drop_table("curations")
