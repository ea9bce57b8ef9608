"""The rows of the items file: readable titles, summaries and texts that say what an item is about."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from content_catalog.schema import DIFFICULTIES, FORMATS, ITEMS, LIST_SEPARATOR
from simulator.organisation.catalogue import NEVER, Audience, Catalogue
from simulator.organisation.world import LANGUAGES, Subject, World

PROVIDERS = {
    "zh-CN": ("工会学习中心", "行业协会培训部", "企业学院", "城市公开课"),
    "en": ("Trade union learning centre", "Industry association", "Company academy", "City open lectures"),
}


def item_rows(world: World, catalogue: Catalogue, *, rng: np.random.Generator) -> Iterator[list[str]]:
    """Return one row per item, its fields in the order of ``content_catalog.schema.ITEMS``."""
    used: Counter[str] = Counter()
    aspects: dict[int, str] = {}
    for item, item_id in enumerate(catalogue.item_ids):
        language = LANGUAGES[catalogue.language[item]]
        subject = world.subjects[catalogue.subject[item]]
        phrases = world.phrases[language]["topics"][subject.topic]
        previous = int(catalogue.previous[item])
        aspect = aspects[previous] if previous >= 0 else str(rng.choice(phrases["aspects"]))
        aspects[item] = aspect
        also = world.subjects[catalogue.second_subject[item]] if catalogue.second_subject[item] >= 0 else None
        title, again = _title(world, catalogue, item, aspect=aspect, rng=rng), world.phrases[language]["again"]
        used[title] += 1
        fields = {
            "item_id": item_id,
            "title": title if used[title] == 1 else again.format(title=title, number=used[title]),
            "summary": capitalised(phrases["summary"].format(subject=subject.names[language], aspect=aspect)),
            "text": _body(world.phrases[language], subject, also, language=language, rng=rng),
            "language": language,
            "format": FORMATS[catalogue.format[item]],
            "duration_seconds": str(catalogue.duration_seconds[item]),
            "difficulty": DIFFICULTIES[min(int(catalogue.part[item]) // 2 + int(rng.random() < 0.3), 2)],
            "topics": LIST_SEPARATOR.join([subject.topic] + ([also.topic] if also else [])),
            "prerequisites": catalogue.item_ids[previous] if previous >= 0 else "",
            "hidden": "true" if catalogue.hidden_at[item] != NEVER else "false",
            "shared": "false",
            "provider": str(rng.choice(PROVIDERS[language])),
            "url": f"https://study.example/items/{item_id}",
            **_audience_fields(catalogue.audiences[item]),
            **{
                name: _instant(int(getattr(catalogue, name)[item]))
                for name in ("published_at", "available_from", "available_until")
            },
        }
        yield [fields.get(name, "") for name in ITEMS.names]


def _audience_fields(audience: Audience) -> dict[str, str]:
    return {
        "target_roles": LIST_SEPARATOR.join(audience.roles),
        "target_industries": LIST_SEPARATOR.join(audience.industries),
        "target_units": LIST_SEPARATOR.join(audience.units),
        "audience": "restricted" if audience.restricted else "open",
    }


def _instant(seconds: int) -> str:
    return "" if seconds == NEVER else f"{np.datetime64(seconds, 's')}Z"


def _title(world: World, catalogue: Catalogue, item: int, *, aspect: str, rng: np.random.Generator) -> str:
    language = LANGUAGES[catalogue.language[item]]
    phrases = world.phrases[language]
    pattern = str(rng.choice(phrases["titles"][FORMATS[catalogue.format[item]]]))
    title = capitalised(pattern.format(subject=world.subjects[catalogue.subject[item]].names[language], aspect=aspect))
    readers = _readers(world, catalogue.audiences[item])
    if len(readers) == 1:
        title = phrases["for"].format(audience=readers[0][language], title=title)
    if catalogue.part[item]:
        title = phrases["part"].format(title=title, part=catalogue.part[item])
    return title


def _readers(world: World, audience: Audience) -> list[dict[str, str]]:
    """Return the names of the kinds of work that are meant, where both a role and an industry tell them apart."""
    return [work.names for work in world.works if work.role in audience.roles and work.industry in audience.industries]


def _body(
    phrases: dict[str, Any], subject: Subject, also: Subject | None, *, language: str, rng: np.random.Generator
) -> str:
    words = rng.permutation(subject.words[language])
    sentences = [
        sentence.format(subject=subject.names[language]) for sentence in phrases["topics"][subject.topic]["text"]
    ]
    patterns = rng.permutation(phrases["words"])[:2]
    for pattern, (a, b, c) in zip(patterns, (words[:3], words[3:]), strict=True):
        sentences.append(pattern.format(a=a, b=b, c=c))
    if also is not None:
        a, b = rng.permutation(also.words[language])[:2]
        sentences.append(phrases["also"].format(subject=also.names[language], a=a, b=b))
    sentences.append(str(rng.choice(phrases["ends"])))
    return ("" if language == "zh-CN" else " ").join(capitalised(sentence) for sentence in sentences)


def capitalised(text: str) -> str:
    """Return the text with a capital first letter; Chinese stays as it is."""
    return text[:1].upper() + text[1:]
