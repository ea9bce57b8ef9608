"""Key of an organisation under which the record of erasures hashes members' ids."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("organisations", sa.Column("erasure_key", sa.Text()))


def downgrade() -> None:
    op.drop_column("organisations", "erasure_key")
