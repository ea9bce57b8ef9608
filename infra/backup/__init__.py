"""Backups: all rows and artefacts in one ZIP file, and their restoration into an empty database.

Members who were erased since the backup was made are erased from what is restored.
"""
