"""The columns of study events and members: declared once, checked where data enters."""

from typing import Final

from content_catalog.schema import DEVICE_FORMATS, SEVERAL, Column, Schema

VOIDED: Final = "voided"
SHOWN: Final = "shown"
NON_STUDY_VERBS: Final = (SHOWN, VOIDED)
"""Verbs that are no evidence of study: impressions and voids."""
VERBS: Final = (
    "viewed",
    "started",
    "progressed",
    "completed",
    "passed",
    "failed",
    "answered",
    "rated",
    "liked",
    "disliked",
    "dismissed",
    "bookmarked",
    "shared",
    SHOWN,
    VOIDED,
)

EVENTS: Final = Schema(
    "events",
    (
        Column("event_id", longest=255, key=True),
        Column("member_id", longest=255, key=True),
        Column("item_id", longest=2_000, key=True),
        Column("verb", required=True, choices=VERBS),
        Column("occurred_at", "instant", required=True),
        Column("duration_seconds", "number", low=0, high=86_400 * 7),
        Column("progress", "number", low=0, high=1),
        Column("score", "number", low=0, high=1),
        Column("rating", "number", low=0, high=100),
        Column("device", longest=100),
        Column("push_list_id", longest=100, key=True),
        Column("voided_event_id", longest=255, key=True),
        Column("session_id", longest=255, key=True),
        Column("date_only", "flag"),
    ),
)
"""Events with the same optional ``session_id``, member and item report the time so far: the longest counts.

``date_only`` events have a date and no time: they are stored at midnight UTC of their date, whatever the zone.
"""
CONTENT: Final = [name for name in EVENTS.names if name not in {"event_id", "date_only"}]
"""Columns that ids are derived from, and that two events of one id must have in common."""

UNITS: Final = Schema("units", (Column("unit", required=True, key=True), Column("name_en"), Column("name_zh")))

MEMBERS: Final = Schema(
    "members",
    (
        Column("member_id", required=True, longest=255, key=True),
        Column("units", "list"),
        Column("role", longest=100, key=True),
        Column("industry", longest=100, key=True),
        Column("region", longest=100, refused=(SEVERAL,)),
        Column("language", longest=35, refused=(SEVERAL,)),
        Column("timezone", "zone"),
        Column("joined_on", "date"),
        Column("role_since", "date"),
        Column("personalised", "flag"),
        Column("pushes", "flag"),
        Column("study_hours", "hours"),
        Column("quiet_hours", "hours"),
        Column("less_topics", "list"),
        Column("follows", "list"),
        Column("devices", "list", choices=DEVICE_FORMATS),
    ),
)
"""``units`` names the unit or units of the member inside its organisation as paths: ``North/Depot 3``."""
