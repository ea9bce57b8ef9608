"""Rename columns of lists, the tables of display metadata and catalogue versions, and recorded steps."""

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OWNED = {"organisation_key": "organisation_key"}
DISPLAYED = {**OWNED, "kind": "kind", "code": "code", "since_run_key": "since_run_key"}
STEPS = {"blend": "rank", "keep": "incremental_state", "fold_in": "online_model"}


def upgrade() -> None:
    _drop_triggers("raise_catalogue_stamp")
    op.execute("ALTER TABLE lists RENAME COLUMN path TO strategy")
    op.execute("ALTER TABLE lists RENAME COLUMN content TO entries_hash")
    op.execute("ALTER TABLE list_entries RENAME COLUMN content TO entries_hash")
    _display_metadata("display_metadata", "fields")
    _move("archived_faces", "display_metadata", {**DISPLAYED, "face": "fields"})
    _catalogue_versions("catalogue_versions", "version")
    _move("catalogue_stamps", "catalogue_versions", {**OWNED, "stamp": "version"})
    _rename_steps(STEPS)


def downgrade() -> None:
    _drop_triggers("raise_catalogue_version")
    op.execute("ALTER TABLE lists RENAME COLUMN strategy TO path")
    op.execute("ALTER TABLE lists RENAME COLUMN entries_hash TO content")
    op.execute("ALTER TABLE list_entries RENAME COLUMN entries_hash TO content")
    _display_metadata("archived_faces", "face")
    _move("display_metadata", "archived_faces", {**DISPLAYED, "fields": "face"})
    _catalogue_versions("catalogue_stamps", "stamp")
    _move("catalogue_versions", "catalogue_stamps", {**OWNED, "version": "stamp"})
    _rename_steps({new: old for old, new in STEPS.items()})


def _drop_triggers(function: str) -> None:
    """Drop the triggers of the old table; the ones of the new one are made after all migrations."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in ("items", "taxonomy_codes"):
        for event in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER IF EXISTS {table}_{event}" + ("" if on_sqlite else f" ON {table}"))
    if not on_sqlite:
        op.execute(f"DROP FUNCTION IF EXISTS {function}()")


def _display_metadata(table: str, column: str) -> None:
    op.create_table(
        table,
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("since_run_key", KEY, nullable=False),
        sa.Column(column, sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f(f"fk_{table}_organisation_key")
        ),
        sa.PrimaryKeyConstraint("organisation_key", "kind", "code", "since_run_key", name=op.f(f"pk_{table}")),
    )


def _catalogue_versions(table: str, column: str) -> None:
    op.create_table(
        table,
        sa.Column("organisation_key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(column, sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f(f"fk_{table}_organisation_key")
        ),
        sa.PrimaryKeyConstraint("organisation_key", name=op.f(f"pk_{table}")),
    )


def _move(old: str, new: str, columns: Mapping[str, str]) -> None:
    """Move all rows to another table, by the names of its columns there, and drop the first one."""
    names, new_names = ", ".join(columns), ", ".join(columns.values())
    op.execute(f"INSERT INTO {new} ({new_names}) SELECT {names} FROM {old}")  # noqa: S608 - our own names
    op.drop_table(old)


def _rename_steps(names: Mapping[str, str]) -> None:
    steps = sa.table("run_steps", sa.column("name"))
    for old, new in names.items():
        op.execute(sa.update(steps).where(steps.c.name == old).values(name=new))
