"""Explanations of served lists: breakdown of the ranking, and causes of changes."""
