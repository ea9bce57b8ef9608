"""Add random ids of imports: keys count those of all organisations, so one would learn how much others import."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

FILL = {
    "sqlite": "UPDATE imports SET import_id = 'im_' || lower(hex(randomblob(16)))",
    "postgresql": "UPDATE imports SET import_id = 'im_' || replace(gen_random_uuid()::text, '-', '')",
}


def upgrade() -> None:
    op.add_column("imports", sa.Column("import_id", sa.Text()))
    op.execute(FILL[op.get_context().dialect.name])
    with op.batch_alter_table("imports") as batch:
        batch.alter_column("import_id", nullable=False)
        batch.create_unique_constraint("uq_imports_import_id", ["import_id"])


def downgrade() -> None:
    with op.batch_alter_table("imports") as batch:
        batch.drop_constraint("uq_imports_import_id", type_="unique")
        batch.drop_column("import_id")
