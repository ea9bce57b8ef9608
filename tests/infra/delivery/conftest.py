"""A delivery whose lists are there."""

from tests.jobs.delivery.conftest import setup

__all__ = ["setup"]
