import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from content_catalog.errors import FileUnreadableError
from content_catalog.io.files import Chunk
from features.events import check_events, deduplicate
from features.schema import EVENTS
from features.xapi.reader import MAX_TEXT_BYTES, read_statements


def written(folder: Path, content: bytes | str, name: str = "statements.json") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def only(path: Path, **options: Any) -> Chunk:
    (chunk,) = read_statements(path, **options)
    return chunk


def rejected(chunk: Chunk) -> list[tuple[Any, ...]]:
    return list(chunk.rejects.itertuples(index=False, name=None))


@pytest.fixture
def line(statement: dict[str, Any]) -> str:
    return json.dumps(statement, ensure_ascii=False)


def test_lines_become_events_by_line_and_blank_ones_are_not_counted(tmp_path: Path, line: str) -> None:
    chunk = only(written(tmp_path, f"\ufeff{line}\n\n  \r\n{line}\r\n\n"), home_page="https://lms.example")
    assert list(chunk.frame.columns) == EVENTS.names
    assert list(chunk.frame.index) == [1, 4]
    assert list(chunk.frame["member_id"]) == ["li.na", "li.na"]
    assert (chunk.rows, chunk.done, len(chunk.rejects)) == (2, 1.0, 0)


def test_gzip_is_known_by_its_first_bytes(tmp_path: Path, line: str) -> None:
    assert only(written(tmp_path, gzip.compress(line.encode()), "named_otherwise.jsonl")).rows == 1


def test_numbers_are_texts_that_the_canonical_check_reads(tmp_path: Path, statement: dict[str, Any]) -> None:
    statement["result"] = {"duration": "PT90S", "score": {"scaled": 0.5}}
    frame = only(written(tmp_path, json.dumps(statement))).frame
    assert (frame.loc[1, "duration_seconds"], frame.loc[1, "score"], frame.loc[1, "progress"]) == ("90.0", "0.5", None)
    events, rejects = check_events(frame)
    assert rejects.empty
    assert events.loc[1, "duration_seconds"] == 90.0


def test_statements_without_study_are_counted_only(tmp_path: Path, statement: dict[str, Any]) -> None:
    comment = {**statement, "verb": {"id": "http://adlnet.gov/expapi/verbs/commented"}}
    del comment["timestamp"]
    chunk = only(written(tmp_path, json.dumps(comment)))
    assert (chunk.rows, len(chunk.frame), len(chunk.rejects)) == (1, 0, 0)


def test_a_study_event_without_a_time_is_rejected(tmp_path: Path, statement: dict[str, Any]) -> None:
    del statement["timestamp"]
    assert rejected(only(written(tmp_path, json.dumps(statement)))) == [(1, "timestamp", "", "no timestamp")]


@pytest.mark.parametrize(
    ("bad", "value", "reason"),
    [
        ('{"a": NaN}', '{"a": NaN}', "not valid JSON: unexpected character, expected a JSON value, at column 7"),
        ("[1, 2", "[1, 2", "not valid JSON: unexpected end of data, at column 6"),
        (b'{"a": "\xe6\xad"}', '{"a": "\\xe6\\xad"}', "not valid UTF-8: byte 8 of the line is 0xe6"),
        ("7", "7", "must be an object"),
        ("[]", "[]", "must be an object"),
        ("null", "null", "null is allowed nowhere but inside extensions"),
        ("[" * 5_000, "[" * 200, "not valid JSON: depth limit exceeded, at column 1026"),
    ],
)
def test_lines_that_are_no_statement_are_rejected_with_the_reason(
    tmp_path: Path, line: str, bad: bytes | str, value: str, reason: str
) -> None:
    content = f"{line}\n".encode() + (bad if isinstance(bad, bytes) else bad.encode()) + f"\n{line}\n".encode()
    chunk = only(written(tmp_path, content))
    assert rejected(chunk) == [(2, "", value, reason)]
    assert list(chunk.frame.index) == [1, 3]
    assert chunk.rows == 3


@pytest.mark.parametrize("broken", ['{"id": "6690e6c9', "{", "[]", "garbage", '"text"'])
def test_a_broken_first_line_costs_itself_only(tmp_path: Path, line: str, broken: str) -> None:
    chunk = only(written(tmp_path, f"{broken}\n{line}\n{line}\n"))
    assert [place for place, *_ in rejected(chunk)] == [1]
    assert list(chunk.frame.index) == [2, 3]


def test_faults_of_a_statement_are_rejected_with_their_field(tmp_path: Path, statement: dict[str, Any]) -> None:
    statement["actor"]["account"]["homePage"] = "lms.example"
    ((place, field, value, reason),) = rejected(only(written(tmp_path, json.dumps(statement))))
    assert (place, field, value) == (1, "actor.account.homePage", "lms.example")
    assert "IRI" in reason


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_an_array_of_statements_is_read_by_number(
    tmp_path: Path, statement: dict[str, Any], indent: int | None
) -> None:
    array = [statement, 7, statement]
    chunk = only(written(tmp_path, "\n\n" + json.dumps(array, indent=indent) + "\n\n"))
    assert list(chunk.frame.index) == [1, 3]
    assert rejected(chunk) == [(2, "", "7", "must be an object")]


def test_a_saved_page_of_statements_is_read_as_its_array(tmp_path: Path, statement: dict[str, Any]) -> None:
    for indent in (None, 2):
        page = json.dumps({"statements": [statement, {"actor": 1}], "more": "/xAPI/statements?more=x"}, indent=indent)
        chunk = only(written(tmp_path, page))
        assert (chunk.rows, list(chunk.frame.index), [row[0] for row in rejected(chunk)]) == (2, [1], [2])


@pytest.mark.parametrize("depth", [255, 500, 1_000])
def test_deep_nesting_costs_its_statement_at_most(tmp_path: Path, statement: dict[str, Any], depth: int) -> None:
    deep = "[" * depth + "]" * depth
    inside = json.dumps(statement)[:-1]
    lines = [
        inside + f',"result":{{"extensions":{{"e:1":{deep}}}}}}}',
        inside + f',"other":{deep}}}',
        f"{deep}",
        inside + "}",
    ]
    chunk = only(written(tmp_path, "\n".join(lines)))
    assert (chunk.rows, list(chunk.frame.index), [row[0] for row in rejected(chunk)]) == (4, [1, 4], [2, 3])


def test_statements_of_xapi_2_are_read(tmp_path: Path, statement: dict[str, Any]) -> None:
    party = {"objectType": "contextAgent", "agent": {"mbox": "mailto:ana@example.org"}}
    sent = statement | {"version": "2.0.0", "context": {"contextAgents": [party]}}
    assert list(only(written(tmp_path, json.dumps(sent))).frame["verb"]) == ["viewed"]


def test_a_statement_over_many_lines_is_read(tmp_path: Path, statement: dict[str, Any]) -> None:
    chunk = only(written(tmp_path, "\n" + json.dumps(statement, indent=4)))
    assert list(chunk.frame.index) == [2]
    assert (chunk.rows, chunk.done) == (1, 1.0)


def test_a_fault_in_a_document_is_told_by_its_line(tmp_path: Path, statement: dict[str, Any]) -> None:
    lines = json.dumps(statement, indent=1).splitlines()
    broken = "\n".join(["", lines[0], "", *lines[1:3], " oops", *lines[3:]])
    ((place, field, value, reason),) = rejected(only(written(tmp_path, broken)))
    assert (place, field, value) == (6, "", "oops")
    assert reason.startswith("not valid JSON")


def test_invalid_utf_8_in_a_document_is_told_by_its_line(tmp_path: Path) -> None:
    chunk = only(written(tmp_path, b'{\n"a":\n"x\xff"\n}'))
    assert rejected(chunk) == [(3, "", '"x\\xff"', "not valid UTF-8: byte 3 of the line is 0xff")]


def test_an_empty_array_gives_one_empty_chunk(tmp_path: Path) -> None:
    chunk = only(written(tmp_path, "[]"))
    assert (chunk.rows, len(chunk.frame), chunk.done) == (0, 0, 1.0)
    assert list(chunk.frame.columns) == EVENTS.names


def test_chunks_are_bounded_and_tell_how_far_reading_is(tmp_path: Path, line: str) -> None:
    chunks = list(read_statements(written(tmp_path, f"{line}\nbad\n" * 5), chunk_rows=4))
    assert [chunk.rows for chunk in chunks] == [4, 4, 2]
    assert [place for chunk in chunks for place in chunk.frame.index] == [1, 3, 5, 7, 9]
    done = [chunk.done for chunk in chunks]
    assert done == sorted(done)
    assert done[-1] == 1.0
    whole = list(read_statements(written(tmp_path, f"{line}\n" * 4), chunk_rows=4))
    assert [(chunk.rows, chunk.done) for chunk in whole] == [(4, 1.0)]


def test_lines_and_documents_beyond_the_bound_of_memory_are_refused(tmp_path: Path, line: str) -> None:
    long = '{"a": "' + "x" * MAX_TEXT_BYTES + '"}'
    chunk = only(written(tmp_path, f"{line}\n{long}\n{line}\n"))
    assert list(chunk.frame.index) == [1, 3]
    assert rejected(chunk) == [(2, "", long[:200], "longer than 32 MiB")]
    for document in (f"[{long}]", f"[\n{long}\n]", f'{{\n"a":\n{long}\n}}'):
        with pytest.raises(FileUnreadableError, match="JSON Lines"):
            list(read_statements(written(tmp_path, document)))


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf\n"])
def test_an_empty_file_is_unreadable(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(FileUnreadableError, match="empty"):
        list(read_statements(written(tmp_path, content)))


def test_missing_files_folders_and_false_or_broken_gzip_are_unreadable(tmp_path: Path, line: str) -> None:
    zipped = gzip.compress("".join(line.replace("items/7", f"items/{n}") + "\n" for n in range(500)).encode())
    broken = zipped[:10] + b"\xff" * 20 + zipped[30:]
    cases = [
        tmp_path / "missing.jsonl",
        tmp_path,
        written(tmp_path, line, "plain.jsonl.gz"),
        written(tmp_path, zipped[:-200], "cut.gz"),
        written(tmp_path, broken, "broken.gz"),
    ]
    for path in cases:
        with pytest.raises(FileUnreadableError):
            list(read_statements(path))


def test_real_video_statements_become_study_time_per_member_and_item(xapi_material: Path) -> None:
    path = xapi_material / "ralph" / "statements.json.gz"
    chunks = list(read_statements(path, chunk_rows=6_000, home_page="http://fun-mooc.fr"))
    assert [chunk.rows for chunk in chunks] == [6_000, 6_000, 6_000, 4_000]
    assert sum(len(chunk.rejects) for chunk in chunks) == 0
    events, rejects = check_events(pd.concat([chunk.frame for chunk in chunks]))
    assert rejects.empty
    assert (len(events), events["member_id"].nunique(), events["item_id"].nunique()) == (22_000, 1_452, 10)
    assert events["session_id"].notna().all()
    assert events["duration_seconds"].notna().sum() == 10_449
    verbs = {"progressed": 9_813, "started": 7_951, "viewed": 3_546, "completed": 636, "bookmarked": 54}
    assert Counter(events["verb"]) == verbs
    studied = events.groupby(["member_id", "item_id", "session_id"])["duration_seconds"].max().sum() / 3_600
    assert studied == pytest.approx(266.497, abs=0.001)


def test_cmi5_scenarios_are_read_and_their_faulty_file_ends_as_a_clear_reject(xapi_material: Path) -> None:
    folder = xapi_material / "cmi5"
    verbs: Counter[str] = Counter()
    rejects = {}
    for path in sorted(folder.glob("*/*.json")):
        chunk = only(path)
        assert chunk.rows == 1
        verbs.update(chunk.frame["verb"])
        if len(chunk.rejects):
            rejects[path.relative_to(folder).as_posix()] = rejected(chunk)[0]
    assert rejects == {
        # Launch data and preferences of a member: documents of cmi5 that are no statements.
        "12-allowed_statement/02-lms_launch_data.json": (1, "actor", "", "is missing"),
        "12-allowed_statement/06-cmi5LearnerPreferences_data.json": (1, "actor", "", "is missing"),
        "16-not_applicable-no_launch/05-initialized_statement.json": (
            38,
            "",
            '"category": [',
            "not valid JSON: unexpected character, expected ',' or '}', at column 7",
        ),
    }
    assert verbs["passed"] > 0
    assert verbs["completed"] > 0


def scenario(folder: Path) -> tuple[pd.DataFrame, int, pd.DataFrame]:
    frames = [only(path).frame for path in sorted(folder.glob("*.json"))]
    events, rejects = check_events(pd.concat(frames, ignore_index=True))
    assert rejects.empty
    return deduplicate(events)


def test_the_passed_file_that_holds_an_initialized_statement_is_a_repetition_of_it(xapi_material: Path) -> None:
    # A valid statement cannot be told wrong by the name of its file; this one repeats 03-initialized, id and all.
    events, repetitions, rejects = scenario(xapi_material / "cmi5" / "03-completed_or_passed-passed")
    assert (repetitions, len(rejects)) == (1, 0)
    assert list(events["verb"]) == ["viewed", "started", "progressed"]


def test_an_id_that_three_cmi5_statements_share_ends_as_two_rejects(xapi_material: Path) -> None:
    events, repetitions, rejects = scenario(xapi_material / "cmi5" / "18-cmi5-allowed-passed")
    assert repetitions == 0
    assert list(events["verb"]) == ["viewed", "started", "completed", "progressed"]
    assert set(rejects["value"]) == {"8a69db4c-bb60-41fd-9740-e713dba8de2e"}
    assert len(rejects) == 2
