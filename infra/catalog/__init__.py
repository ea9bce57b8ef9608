"""Stored catalogue: organisations, items, members, units, requirements, curations and taxonomies.

``store`` reads and writes many records at once, ``records`` single ones, with the same checks as file imports.
``sharing`` says which items of other organisations an organisation may read.
"""
