"""Rights of members: erasure with signed receipts, and subject-access export.

``erasure`` removes a member from tables and files; ``remains`` searches them afterwards and says what is left.
"""
