"""Whether an organisation accepts items that others share; off until it is switched on."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    accepts = sa.Column("accepts_shared", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("organisations", accepts)


def downgrade() -> None:
    op.drop_column("organisations", "accepts_shared")
