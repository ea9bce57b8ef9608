"""Erasure, subject-access export and signed receipts."""
