"""Training data: what a run learns from, and the stored examples of past nights."""
