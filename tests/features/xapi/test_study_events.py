from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.schema import EVENTS, VERBS
from features.xapi.study_events import (
    CMI5_PROGRESS,
    CMI5_SESSION,
    VIDEO_LENGTH,
    VIDEO_PROGRESS,
    VIDEO_SEGMENTS,
    VIDEO_SESSION,
    study_event,
)
from features.xapi.validation.statements import first_fault
from features.xapi.verbs import EVENT_VERBS

HOME = "https://lms.example"
ADL = "http://adlnet.gov/expapi/verbs/"
REGISTRATION = "EC531277-b57b-4c15-8d91-d292c5b2b8f7"


def event_of(statement: dict[str, Any], **changes: Any) -> dict[str, Any]:
    changed = {**statement, **changes}
    assert first_fault(changed) is None
    event = study_event(changed, home_page=HOME)
    assert event is not None
    assert list(event) == EVENTS.names
    return event


def test_a_plain_statement_becomes_a_study_event(statement: dict[str, Any]) -> None:
    context = {"platform": "Android " * 20, "registration": REGISTRATION}
    result = {"duration": "PT1M30.5S", "score": {"scaled": 0.5, "raw": 3}}
    assert event_of(statement, context=context, result=result) == {
        "event_id": "6690e6c9-3ef0-4ed3-8b37-7f3964730bee",
        "member_id": "li.na",
        "item_id": "https://lms.example/items/7",
        "verb": "viewed",
        "occurred_at": "2026-03-01T08:00:00Z",
        "duration_seconds": 90.5,
        "progress": None,
        "score": 0.5,
        "rating": None,
        "device": ("Android " * 20)[:100],
        "push_list_id": None,
        "voided_event_id": None,
        "session_id": REGISTRATION.lower(),
        "date_only": None,
    }


@pytest.mark.parametrize(
    ("actor", "member_id"),
    [
        ({"account": {"homePage": HOME, "name": "li.na"}}, "li.na"),
        ({"account": {"homePage": "https://other.example", "name": "li.na"}}, "https://other.example|li.na"),
        ({"account": {"homePage": "https://other.example", "name": ""}}, ""),
        ({"mbox": "mailto:Li@Example.ORG"}, "Li@example.org"),
        ({"mbox_sha1sum": "CD9B00A5611F94EAA7B1661EDAB976068E364975"}, "cd9b00a5611f94eaa7b1661edab976068e364975"),
        ({"openid": "https://id.example/li"}, "https://id.example/li"),
    ],
)
def test_a_member_is_known_by_the_identifier_of_the_actor(
    statement: dict[str, Any], actor: dict[str, Any], member_id: str
) -> None:
    assert event_of(statement, actor=actor)["member_id"] == member_id


def test_equal_names_on_two_platforms_are_two_members_where_no_platform_is_home(statement: dict[str, Any]) -> None:
    names = set()
    for home_page in ("https://one.example", "https://two.example"):
        actor = {"account": {"homePage": home_page, "name": "li"}}
        event = study_event({**statement, "actor": actor}, home_page=None)
        assert event is not None
        names.add(event["member_id"])
    assert len(names) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": {"objectType": "Group", "member": [{"mbox": "mailto:a@b"}]}},
        {"actor": {"objectType": "Group", "mbox": "mailto:team@b"}},
        {"verb": {"id": "http://adlnet.gov/expapi/verbs/commented"}},
        {"verb": {"id": "https://w3id.org/xapi/adl/verbs/satisfied"}},
        {"verb": {"id": "https://w3id.org/xapi/adl/verbs/waived"}},
        {"object": {"objectType": "Agent", "mbox": "mailto:a@b"}},
        {"object": {"objectType": "StatementRef", "id": REGISTRATION}},
    ],
)
def test_groups_other_objects_and_verbs_without_study_give_no_event(
    statement: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert first_fault({**statement, **changes}) is None
    assert study_event({**statement, **changes}, home_page=HOME) is None


def test_a_void_names_its_target_and_no_member_whoever_voids(statement: dict[str, Any]) -> None:
    void = {
        "verb": {"id": f"{ADL}voided"},
        "object": {"objectType": "StatementRef", "id": REGISTRATION},
        "actor": {"objectType": "Group", "mbox": "mailto:admins@example.org"},
    }
    event = event_of(statement, **void)
    assert (event["verb"], event["voided_event_id"]) == ("voided", REGISTRATION.lower())
    assert (event["member_id"], event["item_id"]) == (None, None)
    assert event["occurred_at"] == "2026-03-01T08:00:00Z"


def test_stored_stands_in_for_a_missing_timestamp(statement: dict[str, Any]) -> None:
    del statement["timestamp"]
    assert event_of(statement)["occurred_at"] is None
    assert event_of(statement, stored="2026-03-02T00:00:00.25Z")["occurred_at"] == "2026-03-02T00:00:00.250000Z"


def test_an_event_without_an_id_has_none(statement: dict[str, Any]) -> None:
    del statement["id"]
    assert event_of(statement)["event_id"] is None


def test_every_verb_leads_to_one_of_the_canonical_verbs() -> None:
    assert set(EVENT_VERBS.values()) <= set(VERBS) - {"voided"}
    assert all(faults_of_verb is None for faults_of_verb in map(_fault_of_verb, EVENT_VERBS))


@pytest.mark.parametrize(
    ("iri", "verb"),
    [
        ("http://activitystrea.ms/submit", "answered"),
        ("http://activitystrea.ms/start", "started"),
        ("http://activitystrea.ms/schema/1.0/submit", "answered"),
        ("https://w3id.org/xapi/tla/verbs/resumed", "progressed"),
        ("https://w3id.org/xapi/tla/verbs/suspended", "progressed"),
        ("https://w3id.org/xapi/tla/verbs/scored", "answered"),
        ("https://w3id.org/xapi/tla/verbs/achieved", "completed"),
        ("https://adlnet.gov/expapi/verbs/completed", "completed"),
        ("http://id.tincanapi.com/verb/scored", "answered"),
    ],
)
def test_verbs_that_platforms_send_are_study(statement: dict[str, Any], iri: str, verb: str) -> None:
    assert event_of(statement, verb={"id": iri})["verb"] == verb


def _fault_of_verb(iri: str) -> object:
    return first_fault({"actor": {"mbox": "mailto:a@b"}, "verb": {"id": iri}, "object": {"id": "a:b"}})


@pytest.mark.parametrize(
    ("verb", "completion", "expected"),
    [
        ("attempted", True, "completed"),
        ("terminated", True, "completed"),
        ("experienced", False, "viewed"),
        ("passed", True, "passed"),
        ("failed", True, "failed"),
        ("answered", True, "answered"),
    ],
)
def test_completion_of_the_result_completes_what_has_no_outcome_of_its_own(
    statement: dict[str, Any], verb: str, completion: bool, expected: str
) -> None:
    event = event_of(statement, verb={"id": f"{ADL}{verb}"}, result={"completion": completion, "success": True})
    assert event["verb"] == expected


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ({"scaled": -0.5}, 0.0),
        ({"raw": 30, "min": 20, "max": 40}, 0.5),
        ({"raw": 30, "max": 40}, None),
        ({"raw": 0, "min": -(10**400), "max": 1}, None),
        ({"raw": 10**400, "min": 10**400, "max": 10**400 + 1}, None),
        ({}, None),
    ],
)
def test_scores_become_shares_of_the_best(
    statement: dict[str, Any], score: dict[str, Any], expected: float | None
) -> None:
    assert event_of(statement, result={"score": score})["score"] == expected


def video(statement: dict[str, Any], measured: dict[str, Any], around: dict[str, Any], **result: Any) -> dict[str, Any]:
    return event_of(
        statement,
        verb={"id": "https://w3id.org/xapi/video/verbs/paused"},
        result={"extensions": measured, **result},
        context={"extensions": around, "registration": REGISTRATION},
    )


def test_study_time_of_a_video_is_what_was_played(statement: dict[str, Any]) -> None:
    measured = {VIDEO_SEGMENTS: "0[.]10[,]5[.]15[,]60", VIDEO_PROGRESS: 0.4}
    event = video(statement, measured, {VIDEO_SESSION: "s-1", VIDEO_LENGTH: 60}, duration="PT1H")
    assert (event["duration_seconds"], event["progress"], event["session_id"]) == (20.0, 0.4, "s-1")


def test_progress_of_a_video_that_does_not_tell_it_is_the_share_played(statement: dict[str, Any]) -> None:
    assert video(statement, {VIDEO_SEGMENTS: "0[.]10[,]5[.]15"}, {VIDEO_LENGTH: 60})["progress"] == 0.25
    assert video(statement, {VIDEO_SEGMENTS: "0[.]61", VIDEO_LENGTH: 60}, {})["progress"] == 1.0
    assert video(statement, {VIDEO_SEGMENTS: "0[.]61", VIDEO_LENGTH: 0}, {})["progress"] is None
    assert video(statement, {VIDEO_LENGTH: 60}, {})["progress"] is None


def test_a_video_of_which_nothing_was_played_took_no_time(statement: dict[str, Any]) -> None:
    event = video(statement, {VIDEO_SEGMENTS: "", VIDEO_LENGTH: 60}, {}, duration="PT9S")
    assert (repr(event["duration_seconds"]), repr(event["progress"])) == ("0.0", "0.0")


def test_extensions_of_another_type_than_their_profile_says_count_as_not_given(statement: dict[str, Any]) -> None:
    measured = {VIDEO_SEGMENTS: ["0[.]1"], VIDEO_PROGRESS: "0.4", CMI5_PROGRESS: None, VIDEO_LENGTH: True}
    event = video(statement, measured, {VIDEO_SESSION: {}, CMI5_SESSION: ""}, duration="PT9S")
    assert (event["duration_seconds"], event["progress"]) == (9.0, None)
    assert event["session_id"] == REGISTRATION.lower()


def test_numbers_out_of_range_are_handed_on_to_be_refused_in_sight(statement: dict[str, Any]) -> None:
    assert video(statement, {VIDEO_PROGRESS: 1.5}, {})["progress"] == 1.5
    assert video(statement, {CMI5_PROGRESS: -(10**400)}, {})["progress"] == float("-inf")
    assert video(statement, {}, {}, duration="P3Y")["duration_seconds"] == 3 * 31_556_952.0


def test_sessions_of_cmi5_may_be_numbers(statement: dict[str, Any]) -> None:
    assert video(statement, {}, {CMI5_SESSION: 1519})["session_id"] == "1519"


def test_cmi5_sessions_tell_progress_completion_and_cumulative_time(xapi_material: Path) -> None:
    rows = []
    for path in sorted((xapi_material / "cmi5" / "13-progress_usage").glob("*.json")):
        event = study_event(orjson.loads(path.read_bytes()), home_page="http://example.org/")
        if event is not None:
            assert event["member_id"] == "Learner"
            rows.append((event["verb"], event["progress"], event["duration_seconds"]))
    assert rows == [
        ("viewed", None, None),
        ("started", None, None),
        ("progressed", 0.25, None),
        ("progressed", 0.5, None),
        ("progressed", 0.75, None),
        ("completed", None, 54.88),
        ("progressed", 1.0, 58.01),
    ]


def test_every_valid_statement_of_the_conformance_corpus_is_an_event_or_none(xapi_material: Path) -> None:
    kinds = []
    for line in (xapi_material / "lrs-conformance" / "corpus_v1_0_3.jsonl").read_bytes().splitlines():
        case = orjson.loads(line)
        if case["expect"] == 200:
            event = study_event(case["statement"], home_page=HOME)
            kinds.append(None if event is None else event["verb"])
    assert len(kinds) > 300
    assert set(kinds) == {None, "viewed", "completed", "voided"}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet="0123456789.[],e-"),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts, max_size=3),
    max_leaves=5,
)
measured_by_players = st.fixed_dictionaries(
    {}, optional=dict.fromkeys((VIDEO_SEGMENTS, VIDEO_PROGRESS, VIDEO_LENGTH, CMI5_PROGRESS), anything)
)
sessions_of_players = st.fixed_dictionaries(
    {}, optional=dict.fromkeys((VIDEO_SESSION, CMI5_SESSION, VIDEO_LENGTH), anything)
)


@given(measured=measured_by_players, around=sessions_of_players)
def test_whatever_extensions_hold_there_is_an_event(measured: dict[str, Any], around: dict[str, Any]) -> None:
    statement = {
        "actor": {"mbox": "mailto:li@example.org"},
        "verb": {"id": "https://w3id.org/xapi/video/verbs/paused"},
        "object": {"id": "https://lms.example/items/7"},
        "result": {"extensions": measured},
        "context": {"extensions": around},
    }
    event = event_of(statement)
    assert isinstance(event["duration_seconds"], float | None)
    assert isinstance(event["progress"], float | None)
    assert isinstance(event["session_id"], str | None)
