"""Exports for other tools: the star schema as files or as views, feature matrices, and trials for MLflow.

Folders of exported files are recorded, so that an erasure finds them.
"""
