"""Alembic's entry: runs migrations on the connection it is handed."""

from alembic import context

from infra.db import access_tables, catalog_version, core_tables, delivery_tables, lrs_tables

connection = context.config.attributes["connection"]
# One for all: tables are known to it once their modules are imported.
metadata = {
    module.metadata for module in (core_tables, access_tables, delivery_tables, lrs_tables, catalog_version)
}.pop()
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
