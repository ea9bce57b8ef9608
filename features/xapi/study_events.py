"""Conversion of xAPI statements into study events, by profile: plain xAPI, video, cmi5.

An extension whose value is of another type than its profile says counts as missing: no statement may be refused for
what its extensions hold (xAPI Data 4.1.s3.b2). A number that is merely out of range is passed on, for the
check of the canonical columns to refuse.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from features.schema import EVENTS, VOIDED
from features.xapi.validation.formats import instant, mailbox, seconds_of
from features.xapi.validation.json_validation import is_number
from features.xapi.validation.statements import VOIDING
from features.xapi.verbs import EVENT_VERBS
from features.xapi.video import covered_seconds, played_seconds, played_segments

_VIDEO: Final = "https://w3id.org/xapi/video/extensions/"
VIDEO_SEGMENTS: Final = f"{_VIDEO}played-segments"
VIDEO_PROGRESS: Final = f"{_VIDEO}progress"
VIDEO_LENGTH: Final = f"{_VIDEO}length"
VIDEO_SESSION: Final = f"{_VIDEO}session-id"
CMI5_PROGRESS: Final = "https://w3id.org/xapi/cmi5/result/extensions/progress"
CMI5_SESSION: Final = "https://w3id.org/xapi/cmi5/context/extensions/sessionid"

_MAX_DEVICE_LENGTH: Final = 100
_NOTHING: Final[Mapping[str, Any]] = {}

_FINISHED_BY_RESULT: Final = frozenset({"viewed", "started", "progressed"})
"""Verbs that ``result.completion`` turns into completed: it "indicates whether or not the Activity was completed"
(xAPI Data 2.4.5), whatever the verb is; the specification's own example is an ``attempted``. Verbs of an outcome or an
opinion keep what they say."""


def study_event(statement: Mapping[str, Any], *, home_page: str | None) -> dict[str, object] | None:
    """Return the study event of a valid statement, one value per column of ``EVENTS``, None where it is none.

    No study event are statements by groups, about anything but an activity, and with verbs that say nothing of study
    (``features.xapi.verbs``). A voiding statement is one, of any actor; its ``member_id`` is empty because it is
    mostly an administrator who voids, not the member whose study it was.

    Parameters
    ----------
    statement : Mapping
        A statement without a fault (``features.xapi.validation.statements.first_fault``).
    home_page : str or None
        ``homePage`` of the platform whose account names are the ids of members. Account names of other platforms get
        theirs in front (``https://other.example|li``), as equal names there need not be the same person.

    Returns
    -------
    dict or None
        ``occurred_at`` is ISO 8601 in UTC, or None where the statement has neither ``timestamp`` nor ``stored``.
        ``duration_seconds`` of a video is what was played by ``played-segments``. ``score`` of a rating is the rating,
        as a share of the best one; ``rating`` itself stays empty, its scale being unknown. ``session_id`` is that of
        the video profile, else of cmi5, else the registration.
    """
    verb = statement["verb"]["id"]
    if verb == VOIDING:
        return _event(statement, verb=VOIDED, voided_event_id=_lower(statement["object"]["id"]))
    verb = EVENT_VERBS.get(verb)
    actor, activity = statement["actor"], statement["object"]
    if verb is None or activity.get("objectType", "Activity") != "Activity" or actor.get("objectType") == "Group":
        return None
    result: Mapping[str, Any] = statement.get("result", _NOTHING)
    context: Mapping[str, Any] = statement.get("context", _NOTHING)
    result_extensions: Mapping[str, Any] = result.get("extensions", _NOTHING)
    context_extensions: Mapping[str, Any] = context.get("extensions", _NOTHING)
    segments = played_segments(result_extensions.get(VIDEO_SEGMENTS))
    if verb in _FINISHED_BY_RESULT and result.get("completion") is True:
        verb = "completed"
    return _event(
        statement,
        verb=verb,
        member_id=_member_id(actor, home_page),
        item_id=activity["id"],
        # Only what was played is study time in a video; the duration of its statements may include pauses.
        duration_seconds=seconds_of(result.get("duration", "")) if segments is None else played_seconds(segments),
        progress=_progress(result_extensions, context_extensions, segments),
        score=_score(result.get("score", _NOTHING)),
        device=context["platform"][:_MAX_DEVICE_LENGTH] if "platform" in context else None,
        session_id=_session_id(context_extensions) or _lower(context.get("registration")),
    )


def _event(statement: Mapping[str, Any], **values: object) -> dict[str, object]:
    moment = instant(statement.get("timestamp") or statement.get("stored") or "")
    event = dict.fromkeys(EVENTS.names)
    return {
        **event,
        "event_id": _lower(statement.get("id")),
        "occurred_at": None if moment is None else moment.isoformat().replace("+00:00", "Z"),
        **values,
    }


def _lower(text: str | None) -> str | None:
    # UUIDs and hexadecimal digits mean the same in either case (RFC 4122, 3): a void must find what it voids.
    return None if text is None else text.lower()


def _member_id(actor: Mapping[str, Any], home_page: str | None) -> str | None:
    if "account" in actor:
        account: Mapping[str, str] = actor["account"]
        name = account["name"]
        if name and account["homePage"] != home_page:
            return f"{account['homePage']}|{name}"
        return name
    if "mbox" in actor:
        return mailbox(actor["mbox"]).removeprefix("mailto:")
    return _lower(actor.get("mbox_sha1sum")) or actor["openid"]


def _session_id(context_extensions: Mapping[str, Any]) -> str | None:
    for key in (VIDEO_SESSION, CMI5_SESSION):
        session = context_extensions.get(key)
        if isinstance(session, str) and session:
            return session
        if is_number(session):
            return str(session)
    return None


def _progress(
    result_extensions: Mapping[str, Any], context_extensions: Mapping[str, Any], segments: object
) -> float | None:
    """Return the share of the item studied so far, 0..1: as stated, else the share of the video that was played."""
    if is_number(stated := result_extensions.get(VIDEO_PROGRESS)):
        return _float(stated)
    if is_number(percent := result_extensions.get(CMI5_PROGRESS)):
        return _float(percent) / 100
    length = result_extensions.get(VIDEO_LENGTH, context_extensions.get(VIDEO_LENGTH))
    if not isinstance(segments, list) or not is_number(length) or length <= 0:
        return None
    # Players round the length and the last end differently: more than the whole of it is the whole of it.
    return min(1.0, covered_seconds(segments) / _float(length))


def _score(score: Mapping[str, Any]) -> float | None:
    """Return the score as a share of the best possible one, 0..1; a scaled score below zero counts as zero.

    Examples
    --------
    >>> _score({"raw": 30, "min": 20, "max": 40}), _score({"scaled": -0.25, "raw": 7}), _score({"raw": 7})
    (0.5, 0.0, None)
    """
    if "scaled" in score:
        return max(0.0, float(score["scaled"]))
    if not {"raw", "min", "max"} <= score.keys():
        return None
    raw, low, high = (_float(score[key]) for key in ("raw", "min", "max"))
    share = (raw - low) / (high - low) if high > low else math.nan
    return share if math.isfinite(share) else None


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf if value > 0 else -math.inf
