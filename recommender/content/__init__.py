"""Content and profile signals: similarity, affinity, freshness, segments."""
