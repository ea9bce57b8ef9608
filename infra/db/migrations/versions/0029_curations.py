"""Add curations, and what lists keep of them."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "curations",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("curation_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.Text())
            for name in ("target_roles", "target_industries", "target_units", "target_regions")
        ),
        sa.Column("starts_at", sa.BigInteger()),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("places", sa.Double()),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name="fk_curations_organisation_key"
        ),
        sa.PrimaryKeyConstraint("organisation_key", "curation_id", name="pk_curations"),
    )
    op.add_column("lists", sa.Column("curated", sa.Text()))


def downgrade() -> None:
    """Take back."""
    op.drop_column("lists", "curated")
    op.drop_table("curations")
