"""Delivery of push lists: webhook worker and batch files."""
