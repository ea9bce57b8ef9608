"""Reasons of list entries and their translations."""
