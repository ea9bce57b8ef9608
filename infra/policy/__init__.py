"""Rules that hold at the moment a list is shown: what they read, and their entries."""
