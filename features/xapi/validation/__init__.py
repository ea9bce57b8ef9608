"""Validation of xAPI statements."""
