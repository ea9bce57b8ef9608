"""Imports of files, of taxonomies and from record stores, and the data-quality report."""
