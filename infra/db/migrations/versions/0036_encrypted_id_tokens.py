"""Encrypt the ID tokens of console sessions; those that are stored in clear text go, and the sessions stay."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"

SESSIONS = sa.table("console_sessions", sa.column("id_token"), sa.column("encrypted_id_token"))


def upgrade() -> None:
    """Apply: the logout of a session that is open now does not lead to the provider."""
    op.execute(SESSIONS.update().values(id_token=None))
    op.execute("ALTER TABLE console_sessions RENAME COLUMN id_token TO encrypted_id_token")


def downgrade() -> None:
    """Take back; what is encrypted cannot be read without the tokens of the sessions."""
    op.execute(SESSIONS.update().values(encrypted_id_token=None))
    op.execute("ALTER TABLE console_sessions RENAME COLUMN encrypted_id_token TO id_token")
