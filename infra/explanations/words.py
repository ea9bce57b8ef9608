"""Causes in words, for people at a terminal."""

from collections.abc import Mapping
from typing import Final

CAUSES: Final[Mapping[str, str]] = {
    "studied": "the member has studied it",
    "dismissed": "the member dismissed it",
    "excluded": "the request excludes it",
    "banned": "an editor banned it from the member's lists",
    "resting": "it was shown several times without a reaction, and rests",
    "not_available": "it is hidden, not open yet, or closed",
    "audience": "it is for other members",
    "device": "the member has no device for it",
    "prerequisites": "something else is to be finished first",
    "policy": "a rule of the policy gave its place to others",
}
"""Why an item is left out of a list."""
INPUTS: Final[Mapping[str, str]] = {
    "profile": "role or profile",
    "own_events": "what the member did",
    "catalogue": "the catalogue",
    "requirements": "required study",
    "curations": "pins and bans of editors",
    "fatigue": "what was shown without a reaction",
    "saves": "what the member saved for later",
    "exploration": "what chance tried",
    "settings": "settings",
    "model": "other people's study",
    "time": "days that passed",
}
"""Causes that a change of a list is put down to."""
