"""Training data of the models and of the ranker."""
