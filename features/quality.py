"""Thresholds for data that is sound enough to learn from."""

from collections.abc import Mapping
from typing import Any

ADVICE = {
    "reject_share": "look into the rejects files and mend the export",
    "unresolved_share": "ingest the missing members and items, or ingest with --auto-create",
    "future_share": "check the clock and the time zone of the export",
    "thin_member_share": "ingest a longer stretch of the log",
    "one_timestamp_share": "the log lacks real times; map the column that has them",
}


def findings(figures: Mapping[str, Any], thresholds: Mapping[str, float]) -> list[str]:
    """Return a message for each figure beyond its threshold: figure, threshold and advice.

    Parameters
    ----------
    figures : mapping
        Figures by name; shares are 0..1.
    thresholds : mapping
        ``max_<figure>`` and ``min_events``.

    Examples
    --------
    >>> findings({"events": 10, "future_share": 0.2}, {"max_future_share": 0.01, "min_events": 1})
    ['future_share is 20.0%, at most 1.0% is sound: check the clock and the time zone of the export']
    """
    messages = []
    if figures["events"] < thresholds["min_events"]:
        messages.append(
            f"{figures['events']} events, at least {thresholds['min_events']:g} are sound: ingest study logs"
        )
    for name, advice in ADVICE.items():
        most = thresholds.get(f"max_{name}")
        if most is not None and figures[name] > most:
            messages.append(f"{name} is {figures[name]:.1%}, at most {most:.1%} is sound: {advice}")
    return messages
