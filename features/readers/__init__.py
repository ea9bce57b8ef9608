"""Readers of study logs that are not plain tables."""
