"""Screens to look up what settings and codes mean."""
