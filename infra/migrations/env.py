"""Alembic's entry: runs migrations on the connection it is handed."""

from alembic import context

from infra import stamps, tables, tables_access, tables_delivery

connection = context.config.attributes["connection"]
# One for all: tables are known to it once their modules are imported.
metadata = {module.metadata for module in (tables, tables_access, tables_delivery, stamps)}.pop()
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
