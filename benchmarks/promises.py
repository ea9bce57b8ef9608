"""Promises of the policies, asserted on every list of one night.

``python -m benchmarks.promises --members 20000 --json FILE`` simulates an organisation with study rules, makes a night
with every rule switched on, and shows the list of every member, whole and for twelve minutes. It prints ``lists``,
``entries``, ``by_reason`` (entries by the code of their reason) and ``broken``: for each of :data:`PROMISES` the lists
that break it, as ``member_id``, at most ten, and their number.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from benchmarks.simulated import UNTIL, Size, take_in
from content_catalog.schema import split_list
from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from infra.catalog import organisations, requirements
from infra.db.engine import make_engine, transaction
from infra.policy.required_entries import list_rules
from infra.serving import push_lists
from infra.serving.list_json import LONGEST, ListRequest
from infra.settings.policy import PolicySettings
from infra.settings.settings import Settings
from infra.training.data import load_interactions
from jobs.nightly.night import nightly
from recommender.explanations.translations import MESSAGES
from recommender.policy.rules.review import REVIEW
from recommender.policy.selection import EVERYTHING, Selection

POLICY: Final = PolicySettings(
    difficulty=0.1, rotation=0.05, max_per_topic=2, diversity=0.1, continue_items=2, review_share=0.1, least_recall=0.9
)
MINUTES: Final = 12
BLOCK_MEMBERS: Final = 2_000
EXAMPLES: Final = 10
REQUIRED: Final = frozenset({"required", "overdue", "needed_for_required"})
OWN_HISTORY: Final = frozenset(
    {"because_finished", "because_studied", "often_next_after", "fits_your_topics", "fits_your_habits"}
    | {REVIEW, "continue", "next_in_series", "better_after", "opens"}
)
"""Reasons that depend on what the member did."""

Entry = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """An organisation as its promises see it, in plain terms.

    Attributes
    ----------
    known : Interactions
    taxonomies : dict
    required : frozenset of str
        Items of requirements.
    policy : PolicySettings
    length : int
        Items of a stored list.
    """

    known: Interactions
    taxonomies: dict[str, Taxonomy]
    required: frozenset[str]
    policy: PolicySettings
    length: int

    @cached_property
    def items(self) -> dict[str, dict[str, Any]]:
        """The rows of the catalogue; None for missing values."""
        frame = self.known.items.astype(object)
        return {str(item_id): row for item_id, row in frame.where(frame.notna(), None).to_dict("index").items()}

    @cached_property
    def series(self) -> dict[str, list[str]]:
        """The items of each series in their order."""
        parts = sorted((row["series_position"], item_id) for item_id, row in self.items.items() if row["series"])
        by_series: dict[str, list[str]] = {}
        for _, item_id in parts:
            by_series.setdefault(self.items[item_id]["series"], []).append(item_id)
        return by_series

    def can_be_finished(self, item_id: str) -> bool:
        """Return whether an item is in the catalogue and open now or later."""
        item = self.items.get(item_id)
        return item is not None and not item["hidden"] and self._closes_after_now(item)

    def is_available(self, item_id: str) -> bool:
        """Return whether an item is open now."""
        item, now = self.items[item_id], self.known.as_of
        begins = [item[name] for name in ("published_at", "available_from") if item[name] is not None]
        return self.can_be_finished(item_id) and all(at <= now for at in begins)

    def _closes_after_now(self, item: dict[str, Any]) -> bool:
        ends = [item[name] for name in ("available_until", "ends_at") if item[name] is not None]
        return all(self.known.as_of < at for at in ends)

    def admits(self, item_id: str, member: "Member") -> bool:
        """Return whether a member is in the audience of an item."""
        item = self.items[item_id]
        if item["audience"] != "restricted":
            return True
        targets = [set(split_list(item[f"target_{name}"])) for name in ("roles", "industries", "units")]
        return any(targets) and all(
            not target or target & within for target, within in zip(targets, member.within, strict=True)
        )

    def is_open(self, item_id: str, member: "Member") -> bool:
        """Return whether a member may be offered an item."""
        needed = filter(self.can_be_finished, split_list(self.items[item_id]["prerequisites"]))
        return self.is_available(item_id) and self.admits(item_id, member) and member.finished >= {*needed}


@dataclass(frozen=True)
class Member:
    """A member: what it did, and where it belongs.

    Attributes
    ----------
    within : list of set
        Codes of roles and industries, and units, those above included.
    cells : dict
        Its interactions by item.
    """

    personalised: bool
    less_topics: frozenset[str]
    follows: tuple[str, ...]
    within: list[set[str]]
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def finished(self) -> set[str]:
        """The items that it finished."""
        return {item_id for item_id, cell in self.cells.items() if cell["finished"]}


def members_of(facts: Facts) -> Iterator[tuple[str, Member]]:
    """Yield the members of an organisation."""
    cells = facts.known.cells
    names = facts.known.items.index[cells["item"]].tolist()
    by_member: dict[int, dict[str, dict[str, Any]]] = {}
    columns = ["finished", "weight", "progress", "study_seconds", "last_at"]
    for member, name, row in zip(cells["member"].tolist(), names, cells[columns].to_dict("records"), strict=True):
        by_member.setdefault(member, {})[name] = row
    frame = facts.known.members
    for number, (member_id, row) in enumerate(frame.to_dict("index").items()):
        if member_id:
            paths = [
                set(taxonomy.path(row[kind])) if isinstance(row[kind], str) and row[kind] in taxonomy else set()
                for kind, taxonomy in facts.taxonomies.items()
            ]
            units = {
                "/".join(parts[: end + 1])
                for parts in (unit.split("/") for unit in split_list(row["units"]))
                for end in range(len(parts))
            }
            yield (
                str(member_id),
                Member(
                    bool(facts.known.personalised[number]),
                    frozenset(split_list(row["less_topics"])),
                    split_list(row["follows"]),
                    [*paths, units],
                    by_member.get(number, {}),
                ),
            )


def _code(entry: Entry) -> str:
    return str(entry["reason"]["code"])


def _nothing_twice(_facts: Facts, _member: Member, entries: list[Entry]) -> bool:
    return len({entry["item_id"] for entry in entries}) == len(entries)


def _only_open(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    return all(facts.is_open(entry["item_id"], member) for entry in entries)


def _finished_only_for_review(_facts: Facts, member: Member, entries: list[Entry]) -> bool:
    return all(_code(entry) in {*REQUIRED, REVIEW} for entry in entries if entry["item_id"] in member.finished)


def _nothing_the_member_is_against(_facts: Facts, member: Member, entries: list[Entry]) -> bool:
    against = {item_id for item_id, cell in member.cells.items() if not cell["weight"]}
    return all(_code(entry) in REQUIRED for entry in entries if entry["item_id"] in against)


def _overdue_first(_facts: Facts, _member: Member, entries: list[Entry]) -> bool:
    others = [rank for rank, entry in enumerate(entries) if _code(entry) not in REQUIRED]
    return all(rank < min(others, default=rank + 1) for rank, entry in enumerate(entries) if _code(entry) == "overdue")


def _required_share(facts: Facts, _member: Member, entries: list[Entry]) -> bool:
    required = [_code(entry) in REQUIRED for entry in entries]
    if not entries or required[0]:
        return True  # something is urgent
    last = max(rank for rank, is_required in enumerate(required) if not is_required)
    share = facts.policy.required_share
    return all(sum(required[:length]) <= share * length + 1e-9 for length in range(1, last + 2))


def _review_share(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    reviewed = [entry["item_id"] for entry in entries if _code(entry) == REVIEW]
    latest = (facts.known.as_of - timedelta(hours=36)).value // 1_000
    return len(reviewed) <= facts.policy.review_share * facts.length and all(
        item_id in member.finished and member.cells[item_id]["last_at"] < latest for item_id in reviewed
    )


def _continue_what_was_begun(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    names = [entry["item_id"] for entry in entries if _code(entry) == "continue"]
    began = {
        item_id
        for item_id, cell in member.cells.items()
        if not cell["finished"] and (cell["progress"] > 0 or cell["study_seconds"] > 0)
    }
    return len(names) <= facts.policy.continue_items and began >= {*names}


def _next_in_series(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    shown = {entry["item_id"] for entry in entries}
    for name in member.follows if member.personalised else ():
        left = [item_id for item_id in facts.series.get(name, ()) if item_id not in member.finished]
        following = next((item_id for item_id in left if facts.is_open(item_id, member)), None)
        if following is not None and following not in shown | facts.required:
            return False
    return True


def _less_of_topics_last(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    ranked = [entry["item_id"] for entry in entries if _code(entry) not in REQUIRED]
    less = [not member.less_topics.isdisjoint(split_list(facts.items[name]["topics"])) for name in ranked]
    return less == sorted(less)


def _no_history_of_who_switched_off(_facts: Facts, member: Member, entries: list[Entry]) -> bool:
    return member.personalised or not OWN_HISTORY & {*map(_code, entries)}


def _true_reasons(facts: Facts, member: Member, entries: list[Entry]) -> bool:
    for entry in entries:
        code, named = _code(entry), entry["reason"]["arguments"].get("item_id")
        starts = facts.items[entry["item_id"]]["starts_at"]
        wrong = {
            "starts_at": starts is None or starts <= facts.known.as_of,
            "better_after": named in member.finished,
            "opens": named is not None and entry["item_id"] not in split_list(facts.items[named]["prerequisites"]),
            "because_finished": named not in member.finished,
        }
        if code not in MESSAGES or wrong.get(code, False):
            return False
    return True


def _within_minutes(_facts: Facts, _member: Member, entries: list[Entry]) -> bool:
    return sum(entry["duration_seconds"] for entry in entries) <= 60 * MINUTES


Promise = Callable[[Facts, Member, list[Entry]], bool]
PROMISES: Final[dict[str, Promise]] = {
    "no item twice": _nothing_twice,
    "only what the member may be offered": _only_open,
    "nothing finished, but for review": _finished_only_for_review,
    "nothing the member is against": _nothing_the_member_is_against,
    "what is overdue comes first": _overdue_first,
    "share of required items": _required_share,
    "share and rest of reviewed items": _review_share,
    "continued items were begun": _continue_what_was_begun,
    "the next of each followed series": _next_in_series,
    "less of a topic comes last": _less_of_topics_last,
    "no history of who switched it off": _no_history_of_who_switched_off,
    "reasons are true": _true_reasons,
}
TIMELY: Final[dict[str, Promise]] = {"the minutes are kept": _within_minutes}
"""Promises of lists for twelve minutes, beside which those of order do not count."""


def broken(facts: Facts, member: Member, entries: list[Entry], promises: dict[str, Promise]) -> list[str]:
    """Return the promises that a list breaks."""
    return [name for name, holds in promises.items() if not holds(facts, member, entries)]


def checked(engine: Engine, settings: Settings, facts: Facts) -> dict[str, Any]:
    """Return what is broken on the lists of all members, as they are shown."""
    members = dict(members_of(facts))
    reasons: Counter[str] = Counter()
    failures: dict[str, list[str]] = {name: [] for name in PROMISES | TIMELY}
    names, n_lists = [*members], 0
    for start in range(0, len(names), BLOCK_MEMBERS):
        block = names[start : start + BLOCK_MEMBERS]
        for selection, promises in ((EVERYTHING, PROMISES), (Selection(minutes=MINUTES), TIMELY)):
            request = ListRequest(LONGEST, UNTIL, "en", selection=selection, rules=list_rules(settings))
            with transaction(engine) as session:
                key = organisations.key_of(session, settings.organisation)
                shown = push_lists.shown_many(session, key, block, request)
            for member_id in block:
                entries = shown[member_id]["items"]
                n_lists += 1
                reasons.update(map(_code, entries))
                for name in broken(facts, members[member_id], entries, promises):
                    failures[name].append(member_id)
    return {
        "members": len(members),
        "lists": n_lists,
        "entries": reasons.total(),
        "by_reason": dict(sorted(reasons.items())),
        "broken": {name: {"lists": len(ids), "members": ids[:EXAMPLES]} for name, ids in failures.items()},
    }


def facts_of(engine: Engine, settings: Settings) -> Facts:
    """Return the facts of the organisation of the settings."""
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        known = load_interactions(session, key, settings, as_of=UNTIL)
        required = {item_id for each in requirements.of_organisation(session, key) for item_id in each.items}
        taxonomies = organisations.taxonomies(session, key)
    kinds = {kind: taxonomies[kind] for kind in ("role", "industry")}
    return Facts(known, kinds, frozenset(required), settings.policy, settings.models.list_length)


def run(folder: Path, size: Size) -> dict[str, Any]:
    """Return the figures of a night of an organisation of some size."""
    settings, _ = take_in(folder, size, study_rules=True)
    settings = settings.model_copy(update={"policy": POLICY})
    engine = make_engine(settings.database_url)
    status = nightly(engine, settings, now=UNTIL)["status"]
    figures = checked(engine, settings, facts_of(engine, settings))
    engine.dispose()
    return {"status": status} | figures


def main() -> None:
    """Print the figures, and write them to a file."""
    parser = argparse.ArgumentParser(description="Promises of the policies on every list of one night")
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=600)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder), Size(members=args.members, items=args.items, days=60, training=3))
    print(json.dumps(figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
