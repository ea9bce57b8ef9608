"""The first tables: organisations, what they know, and the runs that serve them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "organisations",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_key", name=op.f("pk_organisations")),
        sa.UniqueConstraint("name", name=op.f("uq_organisations_name")),
    )
    op.create_table(
        "events",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=True),
        sa.Column("item_id", sa.Text(), nullable=True),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("duration_seconds", sa.Double(), nullable=True),
        sa.Column("progress", sa.Double(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("rating", sa.Double(), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("push_list_id", sa.Text(), nullable=True),
        sa.Column("voids", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_events_organisation_key")
        ),
        sa.UniqueConstraint("organisation_key", "event_id", name=op.f("uq_events_organisation_key_event_id")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(
            "ix_events_voids",
            ["organisation_key", "voids"],
            unique=False,
            sqlite_where=sa.text("voids IS NOT NULL"),
            postgresql_where=sa.text("voids IS NOT NULL"),
        )

    op.create_table(
        "imports",
        sa.Column("import_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("duplicates", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("reasons", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_imports_organisation_key")
        ),
        sa.PrimaryKeyConstraint("import_key", name=op.f("pk_imports")),
    )
    op.create_table(
        "items",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("format", sa.Text(), nullable=True),
        sa.Column("duration_seconds", sa.Double(), nullable=True),
        sa.Column("difficulty", sa.Text(), nullable=True),
        sa.Column("topics", sa.Text(), nullable=True),
        sa.Column("target_roles", sa.Text(), nullable=True),
        sa.Column("target_industries", sa.Text(), nullable=True),
        sa.Column("target_units", sa.Text(), nullable=True),
        sa.Column("audience", sa.Text(), nullable=True),
        sa.Column("prerequisites", sa.Text(), nullable=True),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("available_from", sa.BigInteger(), nullable=True),
        sa.Column("available_until", sa.BigInteger(), nullable=True),
        sa.Column("hidden", sa.Boolean(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_items_organisation_key")
        ),
        sa.PrimaryKeyConstraint("organisation_key", "item_id", name=op.f("pk_items")),
    )
    op.create_table(
        "members",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("industry", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column("joined_on", sa.BigInteger(), nullable=True),
        sa.Column("personalised", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_members_organisation_key")
        ),
        sa.PrimaryKeyConstraint("organisation_key", "member_id", name=op.f("pk_members")),
    )
    op.create_table(
        "runs",
        sa.Column("run_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("settings_digest", sa.Text(), nullable=False),
        sa.Column("data_digest", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("counts", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("checks", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_runs_organisation_key")
        ),
        sa.PrimaryKeyConstraint("run_key", name=op.f("pk_runs")),
        sa.UniqueConstraint("run_id", name=op.f("uq_runs_run_id")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_runs_organisation_key_status_run_key", ["organisation_key", "status", "run_key"], unique=False
        )

    op.create_table(
        "taxonomy_codes",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_taxonomy_codes_organisation_key")
        ),
        sa.PrimaryKeyConstraint("organisation_key", "kind", "code", name=op.f("pk_taxonomy_codes")),
    )
    op.create_table(
        "list_entries",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("run_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("entries", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_list_entries_organisation_key")
        ),
        sa.ForeignKeyConstraint(["run_key"], ["runs.run_key"], name=op.f("fk_list_entries_run_key")),
        sa.PrimaryKeyConstraint("organisation_key", "run_key", "number", name=op.f("pk_list_entries")),
    )
    op.create_table(
        "lists",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("run_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_lists_organisation_key")
        ),
        sa.ForeignKeyConstraint(["run_key"], ["runs.run_key"], name=op.f("fk_lists_run_key")),
        sa.PrimaryKeyConstraint("organisation_key", "run_key", "member_id", name=op.f("pk_lists")),
    )
    op.create_table(
        "similar_items",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("run_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("entries", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_similar_items_organisation_key")
        ),
        sa.ForeignKeyConstraint(["run_key"], ["runs.run_key"], name=op.f("fk_similar_items_run_key")),
        sa.PrimaryKeyConstraint("organisation_key", "run_key", "item_id", name=op.f("pk_similar_items")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("similar_items")
    op.drop_table("lists")
    op.drop_table("list_entries")
    op.drop_table("taxonomy_codes")
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index("ix_runs_organisation_key_status_run_key")

    op.drop_table("runs")
    op.drop_table("members")
    op.drop_table("items")
    op.drop_table("imports")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_events_voids", sqlite_where=sa.text("voids IS NOT NULL"), postgresql_where=sa.text("voids IS NOT NULL")
        )

    op.drop_table("events")
    op.drop_table("organisations")
