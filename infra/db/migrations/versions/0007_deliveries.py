"""Endpoints of study apps, the ledger of deliveries to them, and what members want of pushes."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "endpoints",
        sa.Column("endpoint_key", KEY, primary_key=True),
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("throttled_until", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("endpoint_id", name=op.f("uq_endpoints_endpoint_id")),
    )
    op.create_table(
        "deliveries",
        sa.Column("delivery_key", KEY, primary_key=True),
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), nullable=False),
        sa.Column("endpoint_key", KEY, sa.ForeignKey("endpoints.endpoint_key"), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("run_key", KEY, sa.ForeignKey("runs.run_key"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("push_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("settled_at", sa.BigInteger()),
        sa.UniqueConstraint("delivery_id", name=op.f("uq_deliveries_delivery_id")),
        sa.UniqueConstraint(
            "organisation_key",
            "endpoint_key",
            "member_id",
            "period",
            name=op.f("uq_deliveries_organisation_key_endpoint_key_member_id_period"),
        ),
    )
    op.create_index(
        "ix_deliveries_organisation_key_member_id_period", "deliveries", ["organisation_key", "member_id", "period"]
    )
    op.create_index(
        "ix_deliveries_dead",
        "deliveries",
        ["endpoint_key"],
        sqlite_where=sa.text("status = 'dead'"),
        postgresql_where=sa.text("status = 'dead'"),
    )
    op.create_index(
        "ix_deliveries_pending",
        "deliveries",
        ["endpoint_key", "due_at"],
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )

    op.create_table(
        "endpoint_secrets",
        sa.Column("secret_key", KEY, primary_key=True),
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), nullable=False),
        sa.Column("endpoint_key", KEY, sa.ForeignKey("endpoints.endpoint_key"), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("organisation_key", sa.Integer(), sa.ForeignKey("organisations.organisation_key"), nullable=False),
        sa.Column("delivery_key", KEY, sa.ForeignKey("deliveries.delivery_key", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("outcome", sa.Text()),
    )
    op.add_column("members", sa.Column("pushes", sa.Boolean()))
    op.add_column("members", sa.Column("study_hours", sa.Text()))
    op.add_column("members", sa.Column("quiet_hours", sa.Text()))


def downgrade() -> None:
    with op.batch_alter_table("members") as batch_op:
        batch_op.drop_column("quiet_hours")
        batch_op.drop_column("study_hours")
        batch_op.drop_column("pushes")

    op.drop_table("delivery_attempts")
    op.drop_table("endpoint_secrets")
    op.drop_table("deliveries")
    op.drop_table("endpoints")
