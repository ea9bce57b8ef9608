"""Stored catalogue: items, taxonomies, units, members and organisations."""
