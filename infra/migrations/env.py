"""Alembic's entry: runs migrations on the connection it is handed."""

from alembic import context

from infra import tables_access

connection = context.config.attributes["connection"]
metadata = tables_access.metadata
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
