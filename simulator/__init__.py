"""Simulated organisation with known truth: catalogue, members, study logs."""
