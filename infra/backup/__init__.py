"""Backup of database and artefacts in one file, and its restoration."""
