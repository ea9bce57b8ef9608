"""Database: tables, engines and transactions, migrations, locks, bulk reads and writes.

Tables are declared by subject and made by the migrations, the same on SQLite and PostgreSQL. What the two do
differently is mostly here.
"""
