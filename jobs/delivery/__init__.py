"""Delivery of what is due: a worker with a lane for each endpoint, and batch files for apps that take files."""
