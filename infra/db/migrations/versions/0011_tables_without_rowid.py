"""Members and their lists stand in SQLite's index of the primary key itself: one page less to read for each.

A later migration that recreates one of these tables says so again (``table_kwargs``).
"""

from alembic import op

revision = "0011"
down_revision = "0010"

TABLES = ("members", "lists")


def upgrade() -> None:
    _make_anew(sqlite_with_rowid=False)


def downgrade() -> None:
    _make_anew(sqlite_with_rowid=True)


def _make_anew(*, sqlite_with_rowid: bool) -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    for table in TABLES:
        options = {"sqlite_with_rowid": sqlite_with_rowid}
        with op.batch_alter_table(table, recreate="always", table_kwargs=options):
            pass  # as it was otherwise
