"""Steps of runs, entries kept once by their content, and what lists of past nights looked like."""

import hashlib

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("runs", sa.Column("published_at", sa.BigInteger()))
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.add_column("runs", sa.Column("seeds", json, nullable=False, server_default="{}"))
    op.execute("UPDATE runs SET published_at = made_at WHERE status = 'published'")
    op.create_table(
        "run_steps",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("run_key", KEY, sa.ForeignKey("runs.run_key"), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("peak_bytes", sa.BigInteger(), nullable=False),
        sa.Column("artefact_digest", sa.Text()),
    )
    op.create_table(
        "archived_faces",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("code", sa.Text(), primary_key=True),
        sa.Column("since_run_key", KEY, primary_key=True),
        sa.Column("face", sa.Text(), nullable=False),
    )
    op.add_column("lists", sa.Column("language", sa.Text()))
    op.add_column("lists", sa.Column("content", sa.Text()))
    _by_content()
    with op.batch_alter_table("lists") as batch_op:
        batch_op.alter_column("content", nullable=False)
        batch_op.drop_column("number")


def _by_content() -> None:
    """Give every distinct list of entries one row, under its SHA-256."""
    connection = op.get_bind()
    place = ("organisation_key", "run_key", "number")
    hashes = op.create_table(
        "hashes_of_numbers",
        *(sa.Column(name, KEY, primary_key=True, autoincrement=False) for name in place),
        sa.Column("content", sa.Text(), nullable=False),
        prefixes=["TEMPORARY"],
    )
    by_number = sa.table("list_entries", *map(sa.column, (*place, "entries")))
    distinct = {}
    rows = []
    for row in connection.execute(sa.select(by_number)).mappings():
        content = hashlib.sha256(row["entries"].encode()).hexdigest()
        distinct[row["organisation_key"], content] = row["entries"]
        rows.append({**{name: row[name] for name in place}, "content": content})
    if rows:
        connection.execute(sa.insert(hashes), rows)
    # One statement over a keyed table: a statement for each list would read all lists each time.
    lists = sa.table("lists", *map(sa.column, (*place, "content")))
    same = sa.and_(*(hashes.c[name] == lists.c[name] for name in place))
    connection.execute(sa.update(lists).values(content=sa.select(hashes.c.content).where(same).scalar_subquery()))
    op.drop_table("hashes_of_numbers")
    op.drop_table("list_entries")
    op.create_table(
        "list_entries",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("content", sa.Text(), primary_key=True),
        sa.Column("entries", sa.Text(), nullable=False),
    )
    by_content = sa.table("list_entries", *map(sa.column, ("organisation_key", "content", "entries")))
    rows = [{"organisation_key": key, "content": sha, "entries": text} for (key, sha), text in distinct.items()]
    if rows:
        connection.execute(sa.insert(by_content), rows)


def downgrade() -> None:
    """Take back: the lists of all runs are gone, the next night makes new ones."""
    op.drop_table("archived_faces")
    op.drop_table("run_steps")
    op.execute("DELETE FROM lists")
    op.execute("DELETE FROM similar_items")
    op.execute("DELETE FROM runs")
    op.drop_table("list_entries")
    op.create_table(
        "list_entries",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("run_key", KEY, sa.ForeignKey("runs.run_key"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("entries", sa.Text(), nullable=False),
    )
    with op.batch_alter_table("lists") as batch_op:
        batch_op.drop_column("content")
        batch_op.drop_column("language")
        batch_op.add_column(sa.Column("number", sa.Integer(), nullable=False))
    with op.batch_alter_table("runs") as batch_op:
        batch_op.drop_column("seeds")
        batch_op.drop_column("published_at")
