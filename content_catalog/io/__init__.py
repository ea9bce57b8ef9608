"""Readers, mappings and validation of input files."""
