"""The outside: settings, tables, queries, files, clocks."""
