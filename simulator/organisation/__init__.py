"""Simulated catalogue, audiences, members and ground truth."""
