"""Candidate generation, ranking features, rank fusion and the learned ranker."""
