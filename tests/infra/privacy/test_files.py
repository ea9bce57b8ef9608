"""Rejects files after an erasure: without the member, and with those whose ids are like its own."""

import csv
from pathlib import Path

import pytest

from content_catalog.io.files import rejects_frame
from infra.ingest.rejects import rejects_writer
from infra.privacy.files import erase_rejects

LONG = "lǐ-" * 80


@pytest.mark.parametrize(
    ("member_id", "own", "others"),
    [
        ("иван", [("", "иван,o1")], [("", "иванов,o1"), ("", "диван,o1")]),
        ("m-é", [("", "m-é,o1")], [("", "m-éa,o1"), ("", "m-é\u0301,o1"), ("", "xm-é,o1")]),
        ("Jose7", [("", "o1;Jose7;x")], [("", "Jose7\u0301,o1")]),
        ("50%_x", [("", "50%_x"), ("member_id", "50%_x")], [("member_id", "50a_x"), ("", "50%bx"), ("", "150%_x")]),
        ("'tis", [("member_id", "'tis")], [("member_id", "tis"), ("member_id", "''tis")]),
        ("tis", [("member_id", "tis"), ("", "{'tis'}")], [("member_id", "'tis")]),
        ("=m1", [("member_id", "=m1"), ("", "=m1,o1")], [("member_id", "m1"), ("", "=m12,o1")]),
        ("x/王", [("", r'{"m":"x\/\u738B"}'), ("", r'"x/\u738b"')], [("", r'"x\/\u738c"')]),
        ("m😀", [("", r'{"m":"m\uD83D\uDE00"}')], [("", r'{"m":"m\uD83D\uDE01"}')]),
        ("12", [("", r'"\n12"'), ("", "12,o1")], [("", r'"\u0031\u0032\u0033"'), ("", "2012,o1"), ("score", "12")]),
        (LONG, [("member_id", LONG), ("", f"{LONG},o1")], [("member_id", LONG[1:]), ("member_id", LONG[:100])]),
    ],
)  # fmt: skip
def test_a_members_rejects_go_and_those_of_ids_like_its_own_stay(
    tmp_path: Path, member_id: str, own: list[tuple[str, str]], others: list[tuple[str, str]]
) -> None:
    path = tmp_path / "m😀.csv.rejects.csv"
    with rejects_writer(path) as write:
        write(rejects_frame((line, *reject, "bad") for line, reject in enumerate([*own, *others])))
    erase_rejects(path, member_id)
    path = next(tmp_path.iterdir())
    assert path.name == f"{'(erased)' if member_id == 'm😀' else 'm😀'}.csv.rejects.csv"
    with path.open(encoding="utf-8", newline="") as file:
        lines = [int(row["line"]) for row in csv.DictReader(file)]
    assert lines == [*range(len(own), len(own) + len(others))]
