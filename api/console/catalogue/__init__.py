"""Screens of what can be studied and what has to be: requirements."""
