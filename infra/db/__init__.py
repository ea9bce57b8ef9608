"""Database: engine, tables, migrations, locks, bulk writes."""
