"""Stored study events."""
