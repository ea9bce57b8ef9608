"""Errors of the simulator."""

from content_catalog.errors import XueluError


class SimulationError(XueluError):
    """Simulation parameters outside their bounds."""
