"""Access: API keys, sessions of the console, the hash-chained audit log, and request counts for rate limits.

Changes write their audit entry in their own transaction; reads are buffered and written by a thread.
"""
