"""Reader of xAPI statements."""
