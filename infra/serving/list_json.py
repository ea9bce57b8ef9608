"""Assembly of a list from what is stored: the entries that may still be offered, with display names and reasons.

The only place that decides which stored entries are shown. The service, deliveries, the command line and lists of past
runs all call :func:`render`; they differ in where the stored list and the display names come from.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from itertools import chain, islice
from typing import Any, Final, NamedTuple

import orjson

from content_catalog.schema import split_list
from infra.db.core_tables import EPOCH, MICROSECOND
from infra.policy.arrangement import Arrangement
from infra.policy.curated_entries import NOTHING_CURATED, Curated, curated, stored_curated
from infra.policy.entry_texts import entry_by_rule, entry_of, goes_by_topics, split_entries, text_of
from infra.policy.member_choices import deleted_topics
from infra.policy.required_entries import (
    DEFAULT_RULES,
    NOTHING_REQUIRED,
    ListRules,
    RequiredEntries,
    required_entries,
    stored_entries,
)
from infra.policy.study_records import record_of
from infra.serving.display_metadata import DisplayNames, RenderedEntry, offered_now, required_items
from infra.serving.eligibility import Recipient
from infra.serving.list_query import NON_PERSONAL, StoredList
from recommender.explanations.translations import DATED_MESSAGES, Words, empty_text, language_of, row_title
from recommender.policy.curations import lifted
from recommender.policy.required import obligations, placed
from recommender.policy.rows import rows_of
from recommender.policy.selection import EVERYTHING, ItemFacts, Selection, selected, why_empty

MAX_LIST_LENGTH: Final = 100
"""Most items of a list that a caller may ask for."""
MAX_RENDERED: Final = 100_000
"""Rendered entries that are cached for one organisation and language."""
FRESH: Final = timedelta(hours=36)
"""Age of models until which the words of reasons about time are true: a day, and the time of a run."""
RANKS: Final = tuple(b'%b{"rank":%d,' % (b"," if rank > 1 else b"", rank) for rank in range(1, MAX_LIST_LENGTH + 1))


class ListRequest(NamedTuple):
    """Parameters of a request for a list."""

    n: int
    now: datetime
    language: str | None = None
    exclude: frozenset[str] = frozenset()
    explain: bool = True
    selection: Selection = EVERYTHING
    rules: ListRules = DEFAULT_RULES


class ShownEntries(NamedTuple):
    """Entries of a list as they are shown.

    Attributes
    ----------
    due_left_out : list of RenderedEntry
        Required entries that cannot wait and that the request does not select.
    empty : dict, optional
        Why there is no entry: ``code`` and ``arguments``.
    """

    entries: list[RenderedEntry]
    due_left_out: Sequence[RenderedEntry] = ()
    empty: dict[str, Any] | None = None


class Rendering(NamedTuple):
    """Display names, language and age of the models by which the entries of a request are rendered.

    Attributes
    ----------
    until : date, optional
        The day that what reasons say about time was true on (:func:`dated`).
    """

    names: DisplayNames
    request: ListRequest
    language: str
    until: date | None

    def offered(
        self, texts: Iterable[str], recipient: Recipient | None, left_out: AbstractSet[str]
    ) -> Iterator[RenderedEntry]:
        """Yield the rendered entries that a recipient may be offered now, in order; without a recipient all of them."""
        names, request = self.names, self.request
        cache = names.rendered.setdefault((self.language, request.explain, self.until), {})
        for text in texts:
            try:
                entry = cache[text]
            except KeyError:
                if len(cache) >= MAX_RENDERED:
                    cache.clear()
                entry = cache[text] = self._rendered(entry_of(text))
            if entry is None or entry.item_id in left_out:
                continue
            if recipient and entry.rules and not recipient.may_be_offered(entry.rules, names.rules, request.now):
                continue
            yield entry

    def _rendered(self, entry: dict[str, Any]) -> RenderedEntry | None:
        """Return an entry as JSON; None where the catalogue does not have its item."""
        names = self.names
        item, reason = names.items[entry["item_id"]], entry["reason"]
        cause = reason["arguments"].get("item_id")
        titles = {} if cause is None else {cause: names.title_of(cause)}
        if item is None:
            return None
        shown = dict(item)
        if self.request.explain:
            if self.until is not None and reason["code"] in DATED_MESSAGES:
                reason = {**reason, "arguments": {**reason["arguments"], "until": self.until.isoformat()}}
            words = Words(self.language, titles=titles, taxonomies=names.taxonomies)
            shown["reason"] = {**reason, "text": words.tell(reason)}
        rules = names.rules[item["item_id"]]
        facts = ItemFacts(item["duration_seconds"], item["format"], names.topics.get(item["item_id"], frozenset()))
        return RenderedEntry(orjson.dumps(shown)[1:], item["item_id"], None if rules.unconditional else rules, facts)


def render(stored: StoredList, names: DisplayNames, request: ListRequest) -> bytes:
    """Return a list as JSON.

    Items are left out if the member may not be offered them now, dismissed them, or finished them and need not review
    them, or if the request excludes them. The request selects among the others; ``empty`` says why nothing is left.
    ``due_left_out`` are required items that cannot wait and that the request does not select.

    Raises
    ------
    KeyError
        An item of the list or of a reason is not among the display names.
    """
    language = language_of(request.language or stored.language)
    rendering = Rendering(names, request, language, dated(EPOCH + stored.models_as_of * MICROSECOND, request.now))
    recipient = stored.recipient(names.taxonomies, stored.consumed[0])
    texts = split_entries(stored.entries)
    if deleted := frozenset(deleted_topics(stored.choices)):
        texts = [text for text in texts if not goes_by_topics(text, deleted, names.topics)]
    arrangement = _arrangement(stored, names, request, recipient, texts)
    shown = shown_entries(texts, rendering, recipient, stored.left_out(texts) | request.exclude, arrangement)
    head: dict[str, Any] = {
        "member_id": stored.member_id,
        "list_id": stored.list_id,
        "run_id": stored.run_id,
        "made_at": EPOCH + stored.made_at * MICROSECOND,
        "strategy": stored.strategy or NON_PERSONAL,
        "generated_by": stored.generated_by,
        "language": language,
    }
    if shown.due_left_out:
        head["due_left_out"] = [orjson.loads(b"{" + entry.json) for entry in shown.due_left_out]
    if shown.empty is not None:
        head["empty"] = {**shown.empty, "text": empty_text(**shown.empty, language=language)}
    return list_json(head, shown.entries)


def shown_entries(
    texts: Iterable[str],
    rendering: Rendering,
    recipient: Recipient,
    left_out: frozenset[str],
    arrangement: Arrangement,
) -> ShownEntries:
    """Return the entries that a recipient is shown, best first: those of the arranged list that the request selects."""
    request = rendering.request
    urgent, offered = _arranged(texts, rendering, recipient, left_out, arrangement)
    if request.selection == EVERYTHING:
        entries = list(islice(offered, request.n))
        return ShownEntries(entries, empty=None if entries else why_empty(EVERYTHING, ()))
    every = list(offered)
    facts = [entry.facts for entry in every]
    ranks = selected(facts, request.selection, request.n, urgent=len(urgent))
    due = urgent if len(ranks) < request.n else ()
    return ShownEntries(
        [every[rank] for rank in ranks],
        [entry for rank, entry in enumerate(due) if rank not in ranks],
        None if ranks else why_empty(request.selection, facts),
    )


def _arranged(
    texts: Iterable[str],
    rendering: Rendering,
    recipient: Recipient,
    left_out: frozenset[str],
    arrangement: Arrangement,
) -> tuple[list[RenderedEntry], Iterator[RenderedEntry]]:
    """Return the required entries that cannot wait, and the whole list, which begins with them.

    Pinned entries follow, then the ranked ones: boosts move up, topics that the member wants less of come last. Saved
    items are placed among the ranked entries, and required ones that can wait among all.
    """
    policy = rendering.request.rules.policy
    required, curated, less_topics, saved, resting = arrangement
    hidden = left_out | required.owed | curated.banned
    offered = rendering.offered(texts, recipient, hidden.union(curated.pinned, saved, resting))
    if curated.boosts:
        ranked = list(offered)
        offered = iter(lifted(ranked, [curated.boosts.get(entry.item_id, 0) for entry in ranked]))
    if less_topics:
        offered = iter(sorted(offered, key=lambda entry: not less_topics.isdisjoint(entry.facts.topics)))
    if saved:
        among = rendering.offered(_texts_by_rule(saved, "saved"), recipient, hidden.union(curated.pinned))
        offered = placed((), list(among), offered, policy.saved_share)
    if curated.pinned:
        offered = chain(rendering.offered(_texts_by_rule(curated.pinned, "pinned"), recipient, hidden), offered)
    if not required.owed:
        return [], offered
    # Items finished for an earlier due date come again, and dismissed ones stay required. They are not checked again:
    # only steps that may be offered are among the required entries.
    urgent, waiting = (
        list(rendering.offered(map(text_of, entries), None, rendering.request.exclude))
        for entries in (required.urgent, required.waiting)
    )
    return urgent, placed(urgent, waiting, offered, policy.required_share)


def _texts_by_rule(item_ids: Iterable[str], code: str) -> list[str]:
    return [text_of(entry_by_rule(item_id, code)) for item_id in item_ids]


def _arrangement(
    stored: StoredList, names: DisplayNames, request: ListRequest, recipient: Recipient, texts: Sequence[str]
) -> Arrangement:
    """Return all that changes a member's entries: by the rules of now, or as a past run stored it."""
    # Study of members who switched personalisation off counts for what is required of them, and for nothing else.
    owing = recipient if stored.wants_personal else stored.recipient(names.taxonomies, stored.finished)
    past = stored.past
    curated = curated_now(names, recipient, request.now) if past.curated is None else stored_curated(past.curated)
    # Finished items return for review only, at the place and with the reason of the review.
    pinned, saved = (
        tuple(each for each in of if each not in recipient.finished) for of in (curated.pinned, stored.saved_items)
    )
    return Arrangement(
        _required(stored, names, request, owing),
        curated._replace(pinned=pinned),
        frozenset(split_list(stored.less_topics)),
        saved,
        stored.resting_items(texts, request.now, request.rules.policy.fatigue_days),
    )


def _required(stored: StoredList, names: DisplayNames, request: ListRequest, recipient: Recipient) -> RequiredEntries:
    """Return the required entries of a list: those of now, or those that a past run stored."""
    if stored.past.required is not None:
        return stored_entries(stored.past.required)
    if not names.requirements or stored.study_record is None:
        return NOTHING_REQUIRED
    profile = {"role": stored.role, "industry": stored.industry, "units": stored.units}
    zone_name = names.timezone or request.rules.timezone
    record, zone = record_of(stored.study_record, profile, names.taxonomies, timezone=zone_name)
    today = request.now.astimezone(zone).date()
    items = required_items(names, recipient, request.now)
    owed = obligations(names.requirements, record, items, today, margin=request.rules.policy.required_margin)
    return required_entries(owed, today, lambda item_id: offered_now(item_id, names, recipient, request.now))


def curated_now(names: DisplayNames, recipient: Recipient, now: datetime) -> Curated:
    """Return the curations that hold for a recipient now."""
    return curated(names.curations, recipient.within, now) if names.curations else NOTHING_CURATED


def list_json(head: dict[str, Any], entries: Iterable[RenderedEntry]) -> bytes:
    """Return the JSON of a list with ranked entries."""
    ranked = chain.from_iterable(zip(RANKS, (entry.json for entry in entries), strict=False))
    return b"".join((orjson.dumps(head, option=orjson.OPT_UTC_Z)[:-1], b',"items":[', *ranked, b"]}"))


def rows_json(body: bytes, n: int) -> bytes:
    """Return a list (:func:`render`, with reasons) as titled rows of at most ``n`` items, none of them twice."""
    shown = orjson.loads(body)
    items = shown.pop("items")
    shown["rows"] = [
        {
            "code": row,
            "title": row_title(row, shown["language"]),
            "items": [items[at] | {"rank": rank} for rank, at in enumerate(ranks[:n], 1)],
        }
        for row, ranks in rows_of([item["reason"]["code"] for item in items]).items()
    ]
    return orjson.dumps(shown)


def dated(models_as_of: datetime, now: datetime) -> date | None:
    """Return the day of models that are too old for "this week" and "new" to be true now; None where they are not."""
    return models_as_of.date() if now - models_as_of > FRESH else None
