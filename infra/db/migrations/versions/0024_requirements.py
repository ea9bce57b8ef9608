"""Add requirements, waivers and completions, the day a member took its role, and what lists keep of requirements."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def _organisation() -> sa.Column[int]:
    return sa.Column("organisation_key", sa.Integer(), nullable=False)


def _keys(table: str, *columns: str) -> tuple[sa.Constraint, ...]:
    organisations = sa.ForeignKeyConstraint(
        ["organisation_key"], ["organisations.organisation_key"], name=f"fk_{table}_organisation_key"
    )
    return organisations, sa.PrimaryKeyConstraint("organisation_key", *columns, name=f"pk_{table}")


def upgrade() -> None:
    op.create_table(
        "requirements",
        _organisation(),
        sa.Column("requirement_id", sa.Text(), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.Text())
            for name in ("target_roles", "target_industries", "target_units", "target_regions")
        ),
        sa.Column("due_on", sa.BigInteger()),
        sa.Column("days_after_joining", sa.Double()),
        sa.Column("days_after_role", sa.Double()),
        sa.Column("recurrence", sa.Text()),
        sa.Column("open_days", sa.Double()),
        sa.Column("starts_on", sa.BigInteger()),
        *_keys("requirements", "requirement_id"),
    )
    op.create_table(
        "waivers",
        _organisation(),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("requirement_id", sa.Text(), nullable=False),
        sa.Column("waived_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text()),
        *_keys("waivers", "member_id", "requirement_id"),
    )
    op.create_table(
        "completions",
        _organisation(),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        *_keys("completions", "member_id", "item_id"),
    )
    op.add_column("members", sa.Column("role_since", sa.BigInteger()))
    op.add_column("lists", sa.Column("required", sa.Text()))
    op.add_column("lists", sa.Column("pace_seconds", sa.Double()))


def downgrade() -> None:
    op.drop_column("lists", "pace_seconds")
    op.drop_column("lists", "required")
    op.drop_column("members", "role_since")
    for table in ("completions", "waivers", "requirements"):
        op.drop_table(table)
