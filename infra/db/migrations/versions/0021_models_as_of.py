"""Moment of the models that a run's lists and reasons were made by: earlier than the run's where it reused them."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("runs", sa.Column("models_as_of", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("runs", "models_as_of")
