"""Push lists as they are shown."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, update
from sqlalchemy.orm import Session

from infra.catalog import organisations
from infra.db.core_tables import items, list_entries
from infra.db.core_tables import lists as table
from infra.db.engine import make_engine, transaction
from infra.errors import DatabaseUnavailableError, NoPublishedRunError, NotFoundError, UnknownMemberError
from infra.policy.entry_texts import entry_of, split_entries
from infra.serving import push_lists
from infra.serving.batch_reader import BATCH_MEMBERS, make_reader
from infra.serving.list_json import ListRequest
from infra.serving.push_list_service import PushListService
from infra.settings.policy import PolicySettings
from infra.settings.settings import Settings
from jobs.nightly.night import nightly
from recommender.explanations.translations import DATED_MESSAGES
from recommender.policy.selection import EVERYTHING, Selection
from tests.conftest import ON_SQLITE, Take

Shown = Callable[..., dict[str, Any]]
EVENING = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""Time at which the item "closing" is withdrawn."""


@pytest.fixture
def shown(engine: Engine, now: datetime) -> Shown:
    """Return what shows a member's list."""

    def of(
        member_id: str,
        *,
        n: int = 100,
        now: datetime = now,
        language: str | None = None,
        selection: Selection = EVERYTHING,
    ) -> dict[str, Any]:
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
            return push_lists.shown(
                session, key, member_id, ListRequest(n=n, now=now, language=language, selection=selection)
            )

    return of


def ids(push_list: dict[str, Any]) -> list[str]:
    """Return the items of a list in order."""
    return [item["item_id"] for item in push_list["items"]]


def in_session(engine: Engine, work: Callable[[Session, int], Any]) -> Any:
    """Do something for the organisation in a transaction of its own."""
    with transaction(engine) as session:
        return work(session, organisations.key_of(session, "default"))


@pytest.mark.usefixtures("served")
def test_a_list_has_ranks_faces_and_a_reason_in_words_for_every_item(shown: Shown, served: dict[str, Any]) -> None:
    push_list = shown("d1")
    assert (push_list["member_id"], push_list["strategy"], push_list["language"]) == ("d1", "history", "zh-CN")
    assert (push_list["run_id"], push_list["made_at"]) == (served["run_id"], served["made_at"])
    assert [item["rank"] for item in push_list["items"]] == list(range(1, len(push_list["items"]) + 1))
    first = push_list["items"][0]
    assert first == {
        "rank": 1,
        "item_id": "v5",
        "title": "安全驾驶第5课",
        "format": "video",
        "duration_seconds": 300.0,
        "language": "zh-CN",
        "url": None,
        "reason": {
            "code": "because_studied",
            "arguments": {"item_id": "v4"},
            "text": "因为您学习过《安全驾驶第4课》",
        },
    }
    assert all(item["reason"]["text"] for item in push_list["items"])


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("member_id", "strategy"), [("c3", "history"), ("new-driver", "segment"), ("unknown", "popular")]
)
def test_a_list_names_its_strategy(shown: Shown, member_id: str, strategy: str) -> None:
    assert shown(member_id)["strategy"] == strategy


@pytest.mark.usefixtures("served")
def test_reasons_are_told_in_the_wanted_language_else_the_members_else_chinese(shown: Shown) -> None:
    lists_by_case = {
        "c1": shown("c1"),
        "c1 in Chinese": shown("c1", language="zh-TW"),
        "d1 in English": shown("d1", language="en-GB"),
        "unknown": shown("unknown"),
    }
    assert {name: push_list["language"] for name, push_list in lists_by_case.items()} == {
        "c1": "en",
        "c1 in Chinese": "zh-CN",
        "d1 in English": "en",
        "unknown": "zh-CN",
    }
    assert lists_by_case["c1"]["items"][0]["reason"]["text"] == "Because you studied “Office lesson 4”"
    assert lists_by_case["c1 in Chinese"]["items"][0]["reason"]["text"] == "因为您学习过《Office lesson 4》"
    assert lists_by_case["d1 in English"]["items"][0]["reason"]["text"] == "Because you studied “安全驾驶第4课”"


@pytest.mark.usefixtures("served")
def test_a_request_for_a_few_minutes_topics_or_formats_is_answered_from_the_whole_list(shown: Shown) -> None:
    everything = shown("d1")["items"]

    short = shown("d1", n=3, selection=Selection(minutes=5))["items"]
    assert 0 < sum(item["duration_seconds"] for item in short) <= 300
    articles = shown("d1", selection=Selection(formats=frozenset({"article"})))["items"]
    assert [item["item_id"] for item in articles] == [
        item["item_id"] for item in everything if item["format"] == "article"
    ]
    assert [item["rank"] for item in articles] == list(range(1, len(articles) + 1))
    safety = shown("d1", selection=Selection(topics=frozenset({"safety"})))["items"]
    assert {item["item_id"] for item in safety} <= {*(f"v{number}" for number in range(1, 7)), "drivers", "closing"}
    assert "empty" not in shown("d1")


@pytest.mark.usefixtures("served")
def test_topics_that_a_member_wants_less_of_come_last_from_the_next_request_on(shown: Shown, take: Take) -> None:
    before = ids(shown("d1"))
    take("members", "member_id,less_topics\nd1,safety;cooking\n")

    safety = {*(f"v{number}" for number in range(1, 7)), "drivers", "closing"}
    assert ids(shown("d1")) == sorted(before, key=lambda item_id: item_id in safety)
    assert ids(shown("d1")) != before


@ON_SQLITE
def test_a_reviewed_item_stays_until_it_is_finished_again(
    couriers: Engine, settings: Settings, shown: Shown, take: Take, now: datetime
) -> None:
    policy = PolicySettings(review_share=0.5, least_recall=0.99)
    nightly(couriers, settings.model_copy(update={"policy": policy}), now=now)

    reasons = {item["item_id"]: item["reason"]["code"] for item in shown("d1")["items"]}
    assert reasons["v2"] == "review"
    curation = f"curation_id,action,items,ends_at\npin,pin,v2,{now.date() + timedelta(days=9)}T00:00:00Z\n"
    take("curations", curation)
    assert {item["item_id"]: item["reason"]["code"] for item in shown("d1")["items"]} == reasons, "not as a pin"
    take("events", "event_id,member_id,item_id,verb,occurred_at\nagain,d1,v2,completed,2026-03-02T02:00:00Z\n")

    assert "v2" not in ids(shown("d1", now=EVENING))


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Nothing on the list is of these topics and formats"),
        ("zh-CN", "列表中没有这些主题和形式的内容"),
    ],
)
def test_a_list_without_anything_that_fits_says_why(shown: Shown, language: str, text: str) -> None:
    push_list = shown("d1", language=language, selection=Selection(minutes=5, topics=frozenset({"cooking"})))

    assert push_list["items"] == []
    assert push_list["empty"] == {"code": "none_of_these_topics_and_formats", "arguments": {}, "text": text}


@pytest.mark.usefixtures("served")
def test_n_cuts_the_list_after_what_is_gone_was_left_out(shown: Shown) -> None:
    everything = ids(shown("d1"))
    assert ids(shown("d1", n=3)) == everything[:3]
    assert len(everything) == 12


@pytest.mark.usefixtures("served")
def test_a_member_who_comes_after_the_night_gets_the_list_made_for_anyone(shown: Shown, take: Take) -> None:
    take("members", "member_id,role,industry,language\nlate,83,54,en\n")
    late, general = shown("late"), shown("unknown", language="en")
    assert (late["strategy"], late["language"]) == ("popular", "en")
    assert ids(late) == ids(general) != []
    assert late["list_id"] not in {None, general["list_id"]}


@pytest.mark.usefixtures("served")
def test_an_item_hidden_or_removed_since_the_night_is_gone_and_the_others_move_up(
    shown: Shown, take: Take, engine: Engine
) -> None:
    before = ids(shown("d1"))
    take("items", f"item_id,hidden\n{before[0]},true\n")
    assert ids(shown("d1")) == before[1:]
    in_session(engine, lambda session, _: session.execute(delete(items).where(items.c.item_id == before[1])))
    push_list = shown("d1")
    assert ids(push_list) == before[2:]
    assert [item["rank"] for item in push_list["items"]] == list(range(1, len(before) - 1))


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(("after", "there"), [(timedelta(microseconds=-1), True), (timedelta(0), False)])
def test_an_item_whose_time_is_over_is_gone_to_the_microsecond(shown: Shown, after: timedelta, there: bool) -> None:
    assert ("closing" in ids(shown("d1", now=EVENING + after))) is there


@pytest.mark.usefixtures("served")
def test_an_item_that_became_available_only_later_is_left_out_until_then(shown: Shown, take: Take) -> None:
    [first, *_] = ids(shown("d1"))
    take("items", f"item_id,available_from\n{first},2026-03-02T11:00:00Z\n")
    assert first not in ids(shown("d1"))
    assert first in ids(shown("d1", now=datetime(2026, 3, 2, 11, 0, tzinfo=UTC)))


@pytest.mark.usefixtures("served")
def test_an_item_whose_title_is_not_known_is_named_by_its_id_in_reasons(
    shown: Shown, take: Take, engine: Engine
) -> None:
    reason = {"code": "because_finished", "arguments": {"item_id": "v2"}}
    entries = orjson.dumps([{"item_id": "v5", "reason": reason}]).decode()
    in_session(engine, lambda session, _: session.execute(update(list_entries).values(entries=entries)))
    assert shown("d1", language="en")["items"][0]["reason"]["text"] == "Because you finished “安全驾驶第2课”"
    take("items", "item_id,title\nv2,\n")
    assert shown("d1", language="en")["items"][0]["reason"]["text"] == "Because you finished “v2”"


@pytest.mark.usefixtures("served")
def test_a_night_without_any_list_shows_an_empty_one(shown: Shown, engine: Engine) -> None:
    in_session(engine, lambda session, _: session.execute(delete(table)))
    push_list = shown("d1")
    assert (push_list["items"], push_list["list_id"], push_list["strategy"]) == ([], None, "popular")


@pytest.mark.usefixtures("served")
def test_similar_items_leave_out_what_cannot_be_offered(engine: Engine, take: Take, now: datetime) -> None:
    def similar(session: Session, key: int) -> dict[str, Any]:
        return push_lists.similar(session, key, "v1", n=100, now=now)

    before = in_session(engine, similar)
    assert [item["rank"] for item in before["items"]] == list(range(1, len(before["items"]) + 1))
    assert set(ids(before)) >= {"v2", "v3"}
    assert "v1" not in ids(before)
    assert all(0 < item["similarity"] <= 1 for item in before["items"])
    take("items", f"item_id,hidden\n{ids(before)[0]},yes\n")
    assert ids(in_session(engine, similar)) == ids(before)[1:]


@pytest.mark.usefixtures("couriers")
def test_before_the_first_night_there_are_no_lists_and_no_similar_items(
    engine: Engine, shown: Shown, now: datetime
) -> None:
    with pytest.raises(NoPublishedRunError):
        shown("d1")
    with pytest.raises(UnknownMemberError, match="no member 'nobody'"):
        shown("nobody")
    with pytest.raises(NoPublishedRunError):
        in_session(engine, lambda session, key: push_lists.similar(session, key, "v1", n=5, now=now))
    with pytest.raises(NotFoundError, match="no item 'nothing'"):
        in_session(engine, lambda session, key: push_lists.similar(session, key, "nothing", n=5, now=now))


@pytest.mark.parametrize("language", [None, "en", "zh-CN"])
def test_the_service_answers_what_a_session_reads(
    engine: Engine, served: dict[str, Any], take: Callable[..., object], now: datetime, language: str | None
) -> None:
    del served
    take("members", "member_id,personalised\nd3,false\nlate,\n")
    take("events", f"event_id,member_id,item_id,verb,occurred_at\nx,d4,new,dismissed,{now:%Y-%m-%dT%H:%M:%SZ}\n")
    service = PushListService(engine)

    async def answered(member_ids: list[str]) -> list[bytes]:
        request = ListRequest(n=10, now=now, language=language)
        try:
            return await asyncio.gather(*(service.push_list(1, member_id, request) for member_id in member_ids))
        finally:
            await service.close()

    member_ids = ["d1", "d3", "d4", "c1", "late", "unknown", "private", "new-driver"]
    bodies = asyncio.run(answered(member_ids))
    with transaction(engine) as session:
        shown = [
            push_lists.shown(session, 1, member_id, ListRequest(n=10, now=now, language=language))
            for member_id in member_ids
        ]
    assert [orjson.loads(body) for body in bodies] == [
        {**row, "made_at": f"{row['made_at']:%Y-%m-%dT%H:%M:%SZ}"} for row in shown
    ]


def test_a_request_that_is_cancelled_keeps_no_other_from_its_list(engine: Engine, served: dict[str, Any]) -> None:
    del served

    async def read() -> list[Any]:
        reader = make_reader(engine)
        names = ["d1", "d1", "no\0body", "c1", *(f"nobody {number}" for number in range(BATCH_MEMBERS)), "d4", 'a"\\b']
        waiting = [asyncio.ensure_future(reader.stored_list(1, name)) for name in names]
        await asyncio.sleep(0)
        waiting[0].cancel()
        lists = await asyncio.gather(*waiting[1:])
        await reader.close()
        return [None if stored is None else stored.member_id for stored in lists]

    assert asyncio.run(read()) == ["d1", None, "c1", *[None] * BATCH_MEMBERS, "d4", None]


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(
    ['},{"item_id":', '"},{"item_id":"', "}]", '\\"', "\\", '[{"item_id":']
)
ARGUMENTS = st.dictionaries(st.sampled_from(["item_id", "role"]), TEXTS)
ENTRIES = st.builds(
    lambda item_id, code, arguments: {"item_id": item_id, "reason": {"code": code, "arguments": arguments}},
    TEXTS,
    TEXTS,
    ARGUMENTS,
)
"""In the order in which the night writes them."""


@given(entries=st.lists(ENTRIES, max_size=4), spaced=st.booleans())
def test_entries_are_split_whatever_texts_hold(entries: list[dict[str, Any]], spaced: bool) -> None:
    text = json.dumps(entries) if spaced else orjson.dumps(entries).decode()
    assert [entry_of(entry) for entry in split_entries(text)] == entries


@pytest.mark.usefixtures("served")
def test_words_about_time_name_the_day_of_models_that_are_older_than_a_day(shown: Shown, now: datetime) -> None:
    today, later = (
        [item["reason"] for item in shown("unknown", now=moment, language="en")["items"]]
        for moment in (now + timedelta(hours=30), now + timedelta(hours=40))
    )
    timed = [row for row, reason in enumerate(today) if reason["code"] in DATED_MESSAGES]
    assert timed
    for row in timed:
        assert "until" not in today[row]["arguments"]
        assert later[row]["arguments"] == today[row]["arguments"] | {"until": "2026-03-02"}
        assert later[row]["text"].endswith(" to March 2")
        assert "this week" not in later[row]["text"]


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_every_connection_goes_by_all_that_the_address_says(engine: Engine) -> None:
    """A second server and `options` were lost on the way: commands ran, and lists were 503 or of another schema."""
    hosts = ["/nowhere", engine.url.query["host"]]
    address = engine.url.update_query_dict({"host": hosts, "options": "-c search_path=gone,public"})
    own = make_engine(address.render_as_string(hide_password=False), statement_seconds=60)
    settings = "SELECT current_setting('search_path'), current_setting('statement_timeout')"
    with own.connect() as connection:
        assert connection.exec_driver_sql(settings).one() == ("gone,public", "1min")

    async def member() -> str | None:
        reader = make_reader(own)
        stored = await reader.stored_list(1, "d1")
        await reader.close()
        return stored and stored.member_id

    assert asyncio.run(member()) == "d1"
    own.dispose()


def test_a_database_that_is_away_is_not_named_to_those_who_ask_for_a_list(tmp_path: Path) -> None:
    reader = make_reader(make_engine(f"postgresql://xuelu:open-sesame@/x?host={tmp_path}"))
    with pytest.raises(DatabaseUnavailableError, match="is it running") as caught:
        asyncio.run(reader.stored_list(1, "d1"))
    assert caught.value.detail == "the database does not answer; ask again in a moment"
