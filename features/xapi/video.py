"""Study time and progress from the video profile of xAPI (xAPI Video Community of Practice, version 1.0).

A player reports the parts played, in the order of playing: ``0[.]42.6[,]43.1[.]124.7[,]176.4``, in seconds from
the beginning of the video. A part without an end is still being played and counts for nothing until it has one.
"""

import re
from typing import Final

_SECONDS: Final = r"[0-9]+(?:\.[0-9]*)?(?:e-?[0-9]+)?"
_PART: Final = re.compile(rf"(?P<start>{_SECONDS})(?:\[\.\](?P<end>{_SECONDS})?)?")

Segments = list[tuple[float, float]]


def played_segments(text: object) -> Segments | None:
    """Return starts and ends of the parts played, None where the value is no such text.

    Parts that end before they begin come from clocks that were set back or from faulty players: nothing was played.

    Examples
    --------
    >>> played_segments("0[.]42.5[,]43.1[.]124.7[,]176.4")
    [(0.0, 42.5), (43.1, 124.7)]
    >>> played_segments(""), played_segments("0..42")
    ([], None)
    """
    if not isinstance(text, str):
        return None
    segments = []
    for part in filter(None, text.split("[,]")):
        times = _PART.fullmatch(part.strip())
        if times is None:
            return None
        if times["end"]:
            start, end = float(times["start"]), float(times["end"])
            if start < end < float("inf"):
                segments.append((start, end))
    return segments


def played_seconds(segments: Segments) -> float:
    """Return the time spent playing: what was played twice counts twice.

    Seconds of the video, not of the clock: at double speed an hour of video takes half an hour.

    Examples
    --------
    >>> played_seconds([(0.0, 10.0), (5.0, 15.0)])
    20.0
    """
    return sum((end - start for start, end in segments), 0.0)


def covered_seconds(segments: Segments) -> float:
    """Return how much of the video was played at least once, in seconds.

    Examples
    --------
    >>> covered_seconds([(5.0, 15.0), (0.0, 10.0), (20.0, 21.0)])
    16.0
    """
    covered = reached = 0.0
    for start, end in sorted(segments):
        if end > reached:
            covered += end - max(start, reached)
            reached = end
    return covered
