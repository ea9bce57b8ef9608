"""Settings and their sections."""
