"""Logs of processes that run for long: lines of JSON on standard error, for standard output is for results."""

import sys

import structlog


def configure() -> None:
    """Log as lines of JSON with level and UTC time, to what is standard error when a line is written."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
    )
