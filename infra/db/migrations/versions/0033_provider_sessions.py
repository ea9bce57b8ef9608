"""Let sessions of the console be opened by the OpenID provider, too."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    json_value = sa.JSON().with_variant(JSONB(), "postgresql")
    with op.batch_alter_table("console_sessions") as batch:
        batch.alter_column("key_id", existing_type=sa.Text(), nullable=True)
        batch.add_column(sa.Column("subject", sa.Text()))
        batch.add_column(sa.Column("scopes", json_value))
        batch.add_column(sa.Column("organisations", json_value))
        batch.add_column(sa.Column("id_token", sa.Text()))


def downgrade() -> None:
    """Take back; sessions without a key end."""
    op.execute("DELETE FROM console_sessions WHERE key_id IS NULL")
    with op.batch_alter_table("console_sessions") as batch:
        for name in ("id_token", "organisations", "scopes", "subject"):
            batch.drop_column(name)
        batch.alter_column("key_id", existing_type=sa.Text(), nullable=False)
