"""Bad lines of every kind that an import has to refuse, mixed into good ones."""

import csv
import io
from dataclasses import dataclass
from typing import Final

import numpy as np

from content_catalog.schema import Schema

DUPLICATES_PER_BAD_LINE: Final = 0.15
INVALID_UTF8: Final = b"\xff\xfe\xe4\xb8"

TOO_MANY: Final = "too_many_fields"
TOO_FEW: Final = "too_few_fields"
NOT_UTF8: Final = "invalid_utf8"
CONFLICT: Final = "different_content"

SPOILT_VALUES: Final[dict[str, dict[str, tuple[tuple[str, str], ...]]]] = {
    "events": {
        "missing_value": (("verb", ""), ("occurred_at", "")),
        "unknown_verb": (("verb", "watched"), ("verb", "complete!")),
        "unreadable_time": (("occurred_at", "2025-13-45T25:61:00Z"), ("occurred_at", "yesterday evening")),
        "out_of_range": (("progress", "1.7"), ("duration_seconds", "-30"), ("score", "-0.2"), ("rating", "500")),
        "not_a_number": (("duration_seconds", "ten minutes"), ("score", "A+"), ("progress", "half")),
        "too_long": (("device", "phone " * 30),),
    },
    "members": {
        "missing_value": (("member_id", ""),),
        "unknown_role": (("role", "99"), ("role", "8X"), ("role", "courier")),
        "unknown_industry": (("industry", "99"), ("industry", "Z"), ("industry", "logistics")),
        "unreadable_time": (("joined_on", "2024-02-31"), ("joined_on", "last spring")),
        "not_a_flag": (("personalised", "perhaps"),),
        "too_long": (("region", "far away " * 20),),
    },
    "items": {
        "missing_value": (("item_id", ""),),
        "unknown_format": (("format", "podcast"), ("format", "videos")),
        "unknown_difficulty": (("difficulty", "very hard"),),
        "unknown_role": (("target_roles", "83;99"), ("target_roles", "driver")),
        "unknown_industry": (("target_industries", "G;Z"), ("target_industries", "98")),
        "unreadable_time": (("published_at", "2025-00-10T08:00:00Z"), ("published_at", "soon")),
        "out_of_range": (("duration_seconds", "-5"), ("duration_seconds", "99999999999")),
        "not_a_number": (("duration_seconds", "12 min"),),
        "not_a_flag": (("hidden", "sometimes"),),
        "too_long": (("title", "long " * 250),),
    },
}
"""File, then kind of flaw, then columns with the values that show it."""

TEXT_COLUMNS: Final = {"events": "device", "members": "region", "items": "title"}
SHAPE_FLAWS: Final = {
    "events": (TOO_MANY, TOO_FEW, NOT_UTF8, CONFLICT),
    "members": (TOO_MANY, TOO_FEW, NOT_UTF8),
    "items": (TOO_MANY, TOO_FEW, NOT_UTF8),
}


@dataclass(frozen=True, slots=True)
class Mixture:
    """Lines as they go into a file; ``bad`` tells the positions that must be refused and why."""

    lines: list[bytes]
    bad: list[tuple[int, str]]
    duplicates: int


def kinds_of_bad_lines(file: str) -> list[str]:
    """Return all kinds of flaw that ``file`` (events, members or items) can have.

    >>> "unknown_verb" in kinds_of_bad_lines("events"), "unknown_verb" in kinds_of_bad_lines("members")
    (True, False)
    """
    return [*SPOILT_VALUES[file], *SHAPE_FLAWS[file]]


def mixed(
    lines: list[bytes], schema: Schema, *, bad_lines_share: float, every_kind: bool, rng: np.random.Generator
) -> Mixture:
    """Return the lines with spoilt copies of some of them between, and a few exact duplicates, which do no harm.

    Good lines are never replaced: what remains after the rejects is the simulation as it was.

    Parameters
    ----------
    lines
        Good lines, without line ends.
    schema
        Columns of the lines.
    bad_lines_share
        Share of bad lines in the result.
    every_kind
        Whether each kind appears at least once, as far as there are bad lines enough.
    rng
        Random numbers.
    """
    kinds = kinds_of_bad_lines(schema.name)
    count = len(lines)
    bad = round(count * bad_lines_share / (1 - bad_lines_share))
    duplicates = round(bad * DUPLICATES_PER_BAD_LINE)
    sources = rng.integers(max(count, 1), size=bad + duplicates)
    places = rng.random(bad + duplicates) * count
    chosen = [kinds[number] for number in rng.integers(len(kinds), size=bad)]
    if every_kind:
        chosen[: len(kinds)] = kinds[:bad]
    for number, kind in enumerate(chosen):
        if kind == CONFLICT:  # the line that contradicts comes after the one it contradicts
            places[number] = sources[number] + 0.5 + rng.random() * (count - sources[number])
    spoilt = [
        _spoilt(lines[source], kind, schema, number=number, rng=rng)
        for number, (source, kind) in enumerate(zip(sources[:bad], chosen, strict=True))
    ]
    everything = lines + spoilt + [lines[source] for source in sources[bad:]]
    order = np.argsort(np.concatenate([np.arange(count), places]), kind="stable")
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    bad_positions = sorted((int(position[count + number]), kind) for number, kind in enumerate(chosen))
    return Mixture(lines=[everything[index] for index in order], bad=bad_positions, duplicates=duplicates)


def csv_line(fields: list[str]) -> bytes:
    """Return one line of a CSV file in UTF-8, without its line end.

    >>> csv_line(["a", "b, c", ""])
    b'a,"b, c",'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue().encode()


def _spoilt(line: bytes, kind: str, schema: Schema, *, number: int, rng: np.random.Generator) -> bytes:
    """Return a copy of the line with one flaw, under a new id so that it touches nothing else."""
    (fields,) = csv.reader([line.decode()])
    if kind == CONFLICT:
        at = schema.names.index("duration_seconds")
        fields[at] += "7"
        return csv_line(fields)
    fields[0] += f"-x{number}"
    if kind == TOO_MANY:
        return csv_line([*fields, "and", "more"])
    if kind == TOO_FEW:
        return csv_line(fields[: len(fields) // 2])
    if kind == NOT_UTF8:
        fields[schema.names.index(TEXT_COLUMNS[schema.name])] = "\N{REPLACEMENT CHARACTER}"
        return csv_line(fields).replace("\N{REPLACEMENT CHARACTER}".encode(), INVALID_UTF8)
    choices = SPOILT_VALUES[schema.name][kind]
    column, value = choices[rng.integers(len(choices))]
    fields[schema.names.index(column)] = value
    return csv_line(fields)
