"""Stored study events: written once, in any order, and read for training, serving and reports.

``store`` has the queries. ``event_copy`` keeps Parquet files of the events for the nights of large organisations, and
``retention`` deletes what is old.
"""
