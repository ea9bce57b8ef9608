"""Endpoints of study apps, the ledger of deliveries to them, and what members want of pushes."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "endpoints",
        sa.Column("endpoint_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("throttled_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_endpoints_organisation_key")
        ),
        sa.PrimaryKeyConstraint("endpoint_key", name=op.f("pk_endpoints")),
        sa.UniqueConstraint("endpoint_id", name=op.f("uq_endpoints_endpoint_id")),
    )
    op.create_table(
        "deliveries",
        sa.Column("delivery_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("endpoint_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("run_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("push_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["endpoint_key"], ["endpoints.endpoint_key"], name=op.f("fk_deliveries_endpoint_key")),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_deliveries_organisation_key")
        ),
        sa.ForeignKeyConstraint(["run_key"], ["runs.run_key"], name=op.f("fk_deliveries_run_key")),
        sa.PrimaryKeyConstraint("delivery_key", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("delivery_id", name=op.f("uq_deliveries_delivery_id")),
        sa.UniqueConstraint(
            "organisation_key",
            "endpoint_key",
            "member_id",
            "period",
            name=op.f("uq_deliveries_organisation_key_endpoint_key_member_id_period"),
        ),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(
            "ix_deliveries_organisation_key_member_id_period", ["organisation_key", "member_id", "period"], unique=False
        )
        batch_op.create_index(
            "ix_deliveries_dead",
            ["endpoint_key"],
            unique=False,
            sqlite_where=sa.text("status = 'dead'"),
            postgresql_where=sa.text("status = 'dead'"),
        )
        batch_op.create_index(
            "ix_deliveries_pending",
            ["endpoint_key", "due_at"],
            unique=False,
            sqlite_where=sa.text("status = 'pending'"),
            postgresql_where=sa.text("status = 'pending'"),
        )

    op.create_table(
        "endpoint_secrets",
        sa.Column("secret_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("endpoint_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_key"], ["endpoints.endpoint_key"], name=op.f("fk_endpoint_secrets_endpoint_key")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_endpoint_secrets_organisation_key")
        ),
        sa.PrimaryKeyConstraint("secret_key", name=op.f("pk_endpoint_secrets")),
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("organisation_key", sa.Integer(), nullable=False),
        sa.Column("delivery_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_key"],
            ["deliveries.delivery_key"],
            name=op.f("fk_delivery_attempts_delivery_key"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_key"], ["organisations.organisation_key"], name=op.f("fk_delivery_attempts_organisation_key")
        ),
        sa.PrimaryKeyConstraint("delivery_key", "number", name=op.f("pk_delivery_attempts")),
    )
    with op.batch_alter_table("members", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pushes", sa.Boolean(), nullable=True))
        batch_op.add_column(sa.Column("study_hours", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("quiet_hours", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("members", schema=None) as batch_op:
        batch_op.drop_column("quiet_hours")
        batch_op.drop_column("study_hours")
        batch_op.drop_column("pushes")

    op.drop_table("delivery_attempts")
    op.drop_table("endpoint_secrets")
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_deliveries_dead",
            sqlite_where=sa.text("status = 'dead'"),
            postgresql_where=sa.text("status = 'dead'"),
        )
        batch_op.drop_index(
            "ix_deliveries_pending",
            sqlite_where=sa.text("status = 'pending'"),
            postgresql_where=sa.text("status = 'pending'"),
        )
        batch_op.drop_index("ix_deliveries_organisation_key_member_id_period")

    op.drop_table("deliveries")
    op.drop_table("endpoints")
