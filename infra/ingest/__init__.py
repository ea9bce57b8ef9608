"""File imports: a file is read and checked whole, then written slice by slice.

Its bad lines go to a file of rejects, its counts to the log of imports. The checks of values are in
``content_catalog.io``.
"""
