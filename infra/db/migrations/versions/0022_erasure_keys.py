"""Key of an organisation under which the record of erasures hashes members' ids."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("organisations", sa.Column("erasure_key", sa.Text()))


def downgrade() -> None:
    """Take back."""
    op.drop_column("organisations", "erasure_key")
