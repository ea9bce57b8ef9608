"""Migrations of the tables, which alembic runs: a module each in ``versions``."""
