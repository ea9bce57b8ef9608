"""A time limit for what hangs, and for nothing else: a busy machine is no fault."""

from typing import Final

HANG_SECONDS: Final = 3_600
