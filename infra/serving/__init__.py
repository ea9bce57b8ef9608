"""Serving of push lists: stored, recomputed online and anonymous."""
