"""Learning record store: xAPI statements with their attachments, their search, and a client of other record stores.

A statement that tells of study is stored as a study event, too.
"""
