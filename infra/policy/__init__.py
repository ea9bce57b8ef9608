"""Rules that hold at the moment a list is shown: required study, curations, saved and resting items, devices.

A rule reads what it needs of a member as a column of the query for lists (``infra.serving.list_query``), and of all
members at once for a run.
"""
