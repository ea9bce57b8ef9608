"""Folders that data of members was written to, so that an erasure finds them."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "data_folders",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_data_folders_organisation_key")
        ),
        sa.PrimaryKeyConstraint("organisation_key", "kind", "path", name=op.f("pk_data_folders")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("data_folders")
