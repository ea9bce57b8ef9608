"""Reasons in words: zh-CN and English."""

import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from typing import Final

from babel.dates import format_date, format_skeleton
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from content_catalog.taxonomy import Taxonomy
from recommender.explanations.reasons import Reason

LANGUAGES: Final = ("zh-CN", "en")

MESSAGES: Final = {
    "because_finished": "Because you finished “{title}”",
    "because_studied": "Because you studied “{title}”",
    "often_next_after": "Often studied next after “{title}”",
    "fits_your_topics": "Fits your topic {topic}",
    "fits_role_and_industry": "Fits {role} in {industry}",
    "fits_role": "Fits {role}",
    "fits_industry": "Fits people in {industry}",
    "fits_earlier_role": "Fits your earlier role or industry",
    "fits_your_habits": "Fits how you study",
    "studied_in_segment": "Much studied by {role} in {industry} this week",
    "studied_by_role": "Much studied by {role} this week",
    "studied_in_industry": "Much studied in {industry} this week",
    "studied_this_week": "Much studied by members this week",
    "popular": "Popular with members",
    "new_on_topic": "New on {topic}",
    "new": "New in the catalogue",
    "not_studied_yet": "You have not studied this yet",
    "in_catalogue": "In the catalogue for you",
    "continue": "Continue where you left off",
    "review": "Time to review this",
    "next_in_series": "{series}: {position} of {length}",
    "better_after": "Better after “{title}”",
    "opens": "Opens “{title}”",
    "starts_at": "Live on {when}",
    "to_try": "Something different to try",
    "required": "Required by {due_on}",
    "overdue": "Required, was due on {due_on}",
    "needed_for_required": "Needed first for “{title}”, required by {due_on}",
    "pinned": "Chosen by your organisation",
    "saved": "You saved this for later",
}
"""Every reason code and its English text, which is also the key of its translation."""

DATED_MESSAGES: Final = {
    "studied_in_segment": "Much studied by {role} in {industry} in the week to {until}",
    "studied_by_role": "Much studied by {role} in the week to {until}",
    "studied_in_industry": "Much studied in {industry} in the week to {until}",
    "studied_this_week": "Much studied by members in the week to {until}",
    "new_on_topic": "On {topic}, published in the 30 days to {until}",
    "new": "Published in the 30 days to {until}",
}
"""English texts of reasons about time that were made ``until`` an earlier day."""

EMPTY_MESSAGES: Final = {
    "nothing_to_offer": "There is nothing to offer at the moment",
    "none_of_these_topics_and_formats": "Nothing on the list is of these topics and formats",
    "all_take_longer": "Nothing on the list takes at most {minutes} minutes; the shortest takes {shortest_minutes}",
    "no_length_known": "How long the items on the list take is not known",
}
"""Every code of why a list is empty, and its English text."""

WHOLE_TITLE: Final = re.compile(r"\A《([^《》]*)》\Z")
INNER_QUOTES: Final = {"zh-CN": str.maketrans("《》", "〈〉"), "en": str.maketrans("“”", "‘’")}
"""Marks that quote a title, and those that stand for them within it (GB/T 15834, 4.15)."""
EDGE: Final = "\ue000"
"""Private-use character that marks where an argument begins and ends in a message."""
HAN: Final = re.compile("[\u4e00-\u9fff]")
BETWEEN_SCRIPTS: Final = re.compile(f"(?<={HAN.pattern}){EDGE}(?=\\w)|(?<=\\w){EDGE}(?={HAN.pattern})")

ROW_TITLES: Final = {
    "due": "Due",
    "continue": "Continue",
    "saved": "Saved for later",
    "review": "Review",
    "new": "New",
    "for_you": "For you",
}
"""English titles of rows (:data:`recommender.policy.rows.ROWS`)."""


TOPICS: Final = {
    "theory": "theory",
    "policy-law": "policy and law",
    "labour-rights": "labour rights",
    "history": "history",
    "safety": "safety",
    "public-service": "public service",
    "technology": "technology",
    "trends": "trends",
}
"""English names of the topics that have names of their own."""


def language_of(wanted: str | None) -> str:
    """Return the language of texts for a wanted tag: zh-CN for any Chinese and for none.

    >>> language_of("zh-Hans-CN"), language_of("en-GB"), language_of("fr"), language_of(None)
    ('zh-CN', 'en', 'en', 'zh-CN')
    """
    return "zh-CN" if not wanted or wanted.lower().startswith("zh") else "en"


class Words:
    """Reasons in words of one language.

    Parameters
    ----------
    language : str
        One of :data:`LANGUAGES`.
    titles : mapping
        Titles by item id; an item without one is named by its id.
    taxonomies : mapping
        What ``role`` and ``industry`` codes are called.
    """

    def __init__(self, language: str, *, titles: Mapping[str, str | None], taxonomies: Mapping[str, Taxonomy]) -> None:
        self._language, self._titles, self._taxonomies = language, titles, taxonomies
        self._locale = language.replace("-", "_")

    def tell(self, reason: Reason) -> str:
        """Return a reason (see :class:`recommender.explanations.reasons.Reasons`) in words."""
        arguments = dict(reason["arguments"])
        if "item_id" in arguments:
            title = self._titles.get(arguments["item_id"])
            title = title if isinstance(title, str) and title else arguments["item_id"]
            arguments["title"] = WHOLE_TITLE.sub(r"\1", title).translate(INNER_QUOTES[self._language])
        messages = MESSAGES
        if "until" in arguments:
            messages = DATED_MESSAGES
            day = date.fromisoformat(arguments["until"])
            arguments["until"] = format_skeleton("MMMMd", day, locale=self._locale)
        if "topic" in arguments:
            arguments["topic"] = topic_name(arguments["topic"], self._language)
        if "due_on" in arguments:
            day = date.fromisoformat(arguments["due_on"])
            arguments["due_on"] = format_date(day, "long", locale=self._locale)
        for kind, taxonomy in self._taxonomies.items():
            if kind in arguments:
                arguments[kind] = taxonomy.short_name_of(arguments[kind], self._language)
        return _filled(_translations(self._language).gettext(messages[reason["code"]]), arguments)


def _filled(message: str, arguments: Mapping[str, object]) -> str:
    """Return a message with its arguments; those without Chinese characters stand a space apart from Chinese text.

    >>> _filled("适合{industry}的{role}", {"industry": "IT", "role": "骑手"})
    '适合 IT 的骑手'
    """
    edges = {name: "" if HAN.search(str(value)) else EDGE for name, value in arguments.items()}
    marked = message.format(**{name: f"{edges[name]}{value}{edges[name]}" for name, value in arguments.items()})
    return BETWEEN_SCRIPTS.sub(" ", marked).replace(EDGE, "")


def topic_name(topic: str, language: str) -> str:
    """Return the name of a topic; the topic as the catalogue writes it where it has none.

    >>> topic_name("policy-law", "en"), topic_name("policy-law", "zh-CN"), topic_name("e-bikes", "en")
    ('policy and law', '政策法律', 'e-bikes')
    """
    name = TOPICS.get(topic.replace(" ", "-"))
    return topic if name is None else _translations(language).pgettext("topic", name)


def row_title(row: str, language: str) -> str:
    """Return the title of a row of entries."""
    return _translations(language).gettext(ROW_TITLES[row])


def empty_text(code: str, arguments: Mapping[str, object], language: str) -> str:
    """Return why a list is empty in words."""
    return _filled(_translations(language).gettext(EMPTY_MESSAGES[code]), arguments)


@cache
def _translations(language: str) -> NullTranslations:
    if language == "en":
        return NullTranslations()
    name = language.replace("-", "_")
    with files("recommender").joinpath("locale", f"{name}.po").open("rb") as file:
        catalog = read_po(file, locale=name)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return GNUTranslations(compiled)
