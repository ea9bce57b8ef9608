"""Mapping of xAPI verbs to study events: ADL, TLA, cmi5, the video and audio profiles, and common platforms.

Verbs are compared by their IRI alone, exactly as written (xAPI Data 2.4.3.s4.b1). A verb that is not here is
no study event: creating, commenting, mentoring, logging in, enrolling. Some that one might look for:

- ``satisfied`` and ``waived`` (cmi5) are left out: the platform derives them from ``passed`` and ``completed``, or
  grants them without any study.
- ``unlike``, ``unfavorite``, ``unsave`` are left out: they take an opinion back, which is not the opposite opinion.
- ``abandoned`` (cmi5) ends a session that broke off: what was studied until then counts as progress.
- ``launched`` is a view: the platform offers the item, whether it opened is unknown.
- ``downloaded`` is a bookmark: the item is saved for later, whether it was studied is unknown.
- ``skipped`` and ``ignore`` dismiss the item.
- ``scored`` and ``evaluated`` answer: a grade was recorded. (``evaluated`` is Open edX's word for a graded problem.)
- ``mastered`` is passed, with the highest grade.
- ``achieved`` completes: a goal, a competency or a badge was reached.
- ``suspended`` and ``resumed`` are progress within an attempt that goes on.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_ADL: Final = "http://adlnet.gov/expapi/verbs/"
_CMI5: Final = "https://w3id.org/xapi/adl/verbs/"
_VIDEO: Final = "https://w3id.org/xapi/video/verbs/"
_AUDIO: Final = "https://w3id.org/xapi/audio/verbs/"
_ACROSSX: Final = "https://w3id.org/xapi/acrossx/verbs/"
_ADB: Final = "https://w3id.org/xapi/adb/verbs/"
_ISD: Final = "https://w3id.org/xapi/dod-isd/verbs/"
_TINCAN: Final = "http://id.tincanapi.com/verb/"
_STREAMS: Final = "http://activitystrea.ms/schema/1.0/"
_STREAMS_PROFILE: Final = "http://activitystrea.ms/"
"""The same verbs by the IRIs of the published xAPI profile, as Moodle sends them."""
_TLA: Final = "https://w3id.org/xapi/tla/verbs/"

_STREAMS_NAMES: Final = {
    "viewed": "access attend consume experience interact listen open read watch",
    "started": "play start",
    "progressed": "close leave terminate",
    "completed": "achieve complete",
    "answered": "submit",
    "liked": "like",
    "disliked": "dislike",
    "dismissed": "ignore",
    "bookmarked": "favorite save",
    "shared": "share",
}

_NAMES: Final = (
    (
        _ADL,
        {
            "viewed": "attended experienced interacted launched",
            "started": "attempted initialized",
            "progressed": "exited progressed resumed suspended terminated",
            "completed": "achieved completed",
            "passed": "mastered passed",
            "failed": "failed",
            "answered": "answered responded scored",
            "shared": "shared",
        },
    ),
    (_CMI5, {"progressed": "abandoned"}),
    (_VIDEO, {"started": "played", "progressed": "paused seeked"}),
    (_AUDIO, {"started": "played", "progressed": "paused"}),
    (_ACROSSX, {"viewed": "watched", "answered": "evaluated", "liked": "liked", "disliked": "disliked"}),
    (_ADB, {"viewed": "watched", "bookmarked": "bookmarked"}),
    (_ISD, {"viewed": "accessed"}),
    (
        _TINCAN,
        {
            "viewed": "previewed viewed",
            "progressed": "paused",
            "answered": "scored",
            "rated": "rated",
            "liked": "voted-up",
            "disliked": "voted-down",
            "dismissed": "skipped",
            "bookmarked": "bookmarked downloaded",
        },
    ),
    (_STREAMS, _STREAMS_NAMES),
    (_STREAMS_PROFILE, _STREAMS_NAMES),
    (
        _TLA,
        {
            "progressed": "resumed suspended",
            "completed": "achieved",
            "answered": "assessed scored",
        },
    ),
)

EVENT_VERBS: Final[Mapping[str, str]] = MappingProxyType(
    {
        f"{address}{name}": verb
        for vocabulary, verbs in _NAMES
        for address in {vocabulary, vocabulary.replace("http:", "https:", 1)}
        for verb, names in verbs.items()
        for name in names.split()
    }
)
"""Verb of a study event by the IRI of the verb of a statement; platforms write those of ``http`` with ``https``
too."""
