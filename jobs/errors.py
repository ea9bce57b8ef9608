"""Errors of the jobs.

::

    XueluError (content_catalog/errors.py)
    └── SimulationError    a simulation is asked for that cannot be made
"""

from content_catalog.errors import XueluError


class SimulationError(XueluError):
    """A simulation is asked for that cannot be made."""
