"""Reports on runs: differences between their lists, quality by group, and dry runs of other settings."""
