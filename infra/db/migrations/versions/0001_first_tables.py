"""The first tables: organisations, what they know, and the runs that serve them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "organisations",
        sa.Column("organisation_key", sa.Integer(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("name", name=op.f("uq_organisations_name")),
    )
    op.create_table(
        "events",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text()),
        sa.Column("item_id", sa.Text()),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("duration_seconds", sa.Double()),
        sa.Column("progress", sa.Double()),
        sa.Column("score", sa.Double()),
        sa.Column("rating", sa.Double()),
        sa.Column("device", sa.Text()),
        sa.Column("push_list_id", sa.Text()),
        sa.Column("voids", sa.Text()),
        sa.Column("session_id", sa.Text()),
        sa.UniqueConstraint("organisation_key", "event_id", name=op.f("uq_events_organisation_key_event_id")),
    )
    op.create_index(
        "ix_events_voids",
        "events",
        ["organisation_key", "voids"],
        sqlite_where=sa.text("voids IS NOT NULL"),
        postgresql_where=sa.text("voids IS NOT NULL"),
    )

    op.create_table(
        "imports",
        sa.Column("import_key", KEY, primary_key=True),
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("duplicates", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("reasons", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
    )
    op.create_table(
        "items",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("item_id", sa.Text(), primary_key=True),
        sa.Column("title", sa.Text()),
        sa.Column("summary", sa.Text()),
        sa.Column("text", sa.Text()),
        sa.Column("language", sa.Text()),
        sa.Column("format", sa.Text()),
        sa.Column("duration_seconds", sa.Double()),
        sa.Column("difficulty", sa.Text()),
        sa.Column("topics", sa.Text()),
        sa.Column("target_roles", sa.Text()),
        sa.Column("target_industries", sa.Text()),
        sa.Column("target_units", sa.Text()),
        sa.Column("audience", sa.Text()),
        sa.Column("prerequisites", sa.Text()),
        sa.Column("published_at", sa.BigInteger()),
        sa.Column("available_from", sa.BigInteger()),
        sa.Column("available_until", sa.BigInteger()),
        sa.Column("hidden", sa.Boolean()),
        sa.Column("provider", sa.Text()),
        sa.Column("url", sa.Text()),
    )
    op.create_table(
        "members",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("member_id", sa.Text(), primary_key=True),
        sa.Column("organisation", sa.Text()),
        sa.Column("role", sa.Text()),
        sa.Column("industry", sa.Text()),
        sa.Column("region", sa.Text()),
        sa.Column("language", sa.Text()),
        sa.Column("timezone", sa.Text()),
        sa.Column("joined_on", sa.BigInteger()),
        sa.Column("personalised", sa.Boolean()),
    )
    op.create_table(
        "runs",
        sa.Column("run_key", KEY, primary_key=True),
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("settings_digest", sa.Text(), nullable=False),
        sa.Column("data_digest", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("counts", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("checks", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.UniqueConstraint("run_id", name=op.f("uq_runs_run_id")),
    )
    op.create_index("ix_runs_organisation_key_status_run_key", "runs", ["organisation_key", "status", "run_key"])

    op.create_table(
        "taxonomy_codes",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("code", sa.Text(), primary_key=True),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
    )
    op.create_table(
        "list_entries",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("run_key", KEY, sa.ForeignKey("runs.run_key"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("entries", sa.Text(), nullable=False),
    )
    op.create_table(
        "lists",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("run_key", KEY, sa.ForeignKey("runs.run_key"), primary_key=True),
        sa.Column("member_id", sa.Text(), primary_key=True),
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
    )
    op.create_table(
        "similar_items",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), primary_key=True),
        sa.Column("run_key", KEY, sa.ForeignKey("runs.run_key"), primary_key=True),
        sa.Column("item_id", sa.Text(), primary_key=True),
        sa.Column("entries", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("similar_items")
    op.drop_table("lists")
    op.drop_table("list_entries")
    op.drop_table("taxonomy_codes")
    op.drop_table("runs")
    op.drop_table("members")
    op.drop_table("items")
    op.drop_table("imports")
    op.drop_table("events")
    op.drop_table("organisations")
