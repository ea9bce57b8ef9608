"""The outside: all that speaks to the database, to files and to other services.

Functions take a session or an engine, and the key of the organisation whose rows they read or write. What to recommend
is decided in ``recommender``, which knows nothing of this package.
"""
