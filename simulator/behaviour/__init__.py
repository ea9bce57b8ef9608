"""Behaviour of simulated members: affinities, sessions and item popularity over time."""
