"""Errors of the simulator.

::

    XueluError (content_catalog/errors.py)
    └── SimulationError    parameters outside their bounds
"""

from content_catalog.errors import XueluError


class SimulationError(XueluError):
    """Simulation parameters outside their bounds."""
