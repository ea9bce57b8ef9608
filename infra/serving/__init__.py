"""Serving of push lists: as stored, recomputed after new events, or anonymous.

``list_query`` reads all that a list is shown from in one query, ``list_json`` decides what of it is shown. The service,
deliveries and the command line share both.
"""
