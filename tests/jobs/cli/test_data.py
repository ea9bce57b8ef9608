"""Commands that bring data in: ingest, doctor, features, simulate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import ON_SQLITE
from tests.together import together

Run = Callable[..., Any]
LOG = "member_id,item_id,verb,occurred_at,shoe_size\n"
KEYS = [
    "kind",
    "file",
    "lines",
    "stored",
    "duplicates",
    "rejected",
    "without_event",
    "rejects_file",
    "created_members",
    "created_items",
    "unresolved_events",
    "unused_columns",
    "missing_columns",
    "similar_columns",
    "rejects_by_reason",
    "warnings",
]
FIGURES = [
    "members", "items", "events", "first_event", "last_event", "voids", "future_events", "future_share",
    "unresolved_events", "unresolved_share", "one_timestamp_share", "thin_members", "thin_member_share",
    "items_never_studied", "missing_role_share", "missing_industry_share", "missing_timezone_share",
    "members_with_unknown_codes", "items_with_unknown_codes", "requirements_with_unknown_codes",
    "curations_with_unknown_codes", "unknown_codes",
    "imported_lines", "duplicates", "rejects", "reject_share", "rejects_by_reason",
    "stray_artefact_folders",
]  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes a file of lines below a header."""

    def written(name: str, header: str, *lines: str) -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header.rstrip("\n"), *lines]) + "\n", encoding="utf-8")
        return path

    return written


def test_an_import_is_told_in_lines_for_people(xuelu: Run, file: Callable[..., Path]) -> None:
    sound = [f"m1,i1,viewed,2026-02-01T08:00:{number:02d}Z,43" for number in range(40)]
    path = file("log.csv", LOG, *sound, sound[0], "m1,i1,watched,2026-02-01,43")
    answer = xuelu("ingest", "events", path)
    assert (answer.status, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[:4] == [
        "log.csv: 40 of 42 lines of events stored",
        "  duplicates: 1",
        "  rejected: 1",
        "  unresolved events: 41",
    ]
    assert lines[4].startswith("  every reject with its line and reason: ")
    assert Path(lines[4].split(": ", 1)[1]).read_text(encoding="utf-8").count("watched") == 1
    assert lines[5:] == ["  columns not used: shoe_size"]


def test_an_import_is_told_in_json_for_scripts(xuelu: Run, file: Callable[..., Path]) -> None:
    path = file("log.csv", LOG, "m1,i1,viewed,2026-02-01,43")
    report = xuelu("ingest", "events", path, "--auto-create", "--json").json
    assert list(report) == KEYS
    assert report == {
        "kind": "events",
        "file": "log.csv",
        "lines": 1,
        "stored": 1,
        "duplicates": 0,
        "rejected": 0,
        "without_event": 0,
        "rejects_file": None,
        "created_members": 1,
        "created_items": 1,
        "unresolved_events": 0,
        "missing_columns": [],
        "similar_columns": {},
        "unused_columns": ["shoe_size"],
        "rejects_by_reason": {},
        "warnings": [],
    }


def test_the_setting_auto_create_is_overruled_by_the_option(
    xuelu: Run, file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XUELU_AUTO_CREATE", "true")
    path = file("log.csv", LOG, "m1,i1,viewed,2026-02-01,43")
    assert xuelu("ingest", "events", path, "--no-auto-create", "--json").json["unresolved_events"] == 1
    assert xuelu("ingest", "events", path, "--json").json["created_members"] == 1


def test_a_refused_import_is_one_line_and_exit_status_1(xuelu: Run, file: Callable[..., Path]) -> None:
    path = file("log.csv", LOG, "m1,i1,viewed,2026-02-01,43", "m1,i1,watched,2026-02-01,43")
    answer = xuelu("ingest", "events", path)
    assert answer.status == 1
    assert "log.csv: 1 of 2 lines are bad (50.0%, at most 5.0% by max_reject_share)" in answer.complaint
    rejects_file = Path(answer.complaint.split("; see ")[1].strip())
    assert "watched" in rejects_file.read_text(encoding="utf-8")


@together(
    ("arguments", "message"),
    [
        (["events", "missing.csv"], "missing.csv cannot be read"),
        (["events", "."], "cannot be read"),
        (["roles", "missing.csv"], "missing.csv cannot be read"),
        (["events", "log.csv", "--mapping", "mars"], "no mapping 'mars'; shipped: "),
        (["events", "log.csv", "--mapping", "own.toml"], "mapping 'own.toml' cannot be used"),
        (["events", "log.csv", "--mapping", "mars-items"], "is for items, not for events"),
        (["events", "log.csv", "--mapping", "mars-watch"], "the file has no column"),
        (["roles", "log.csv", "--mapping", "mars-watch"], "a mapping cannot be used for roles"),
        (["industries", "log.csv"], "lacks the column code"),
        (["members", "log.csv"], "members need the column member_id; the file has: people, thing"),
        (["items", "cycle.csv"], "a needs b needs a"),
        (["events", "empty.csv"], "empty.csv is empty"),
    ],
)
@ON_SQLITE
def test_a_file_that_cannot_be_taken_is_one_line_and_exit_status_2(
    xuelu: Run, file: Callable[..., Path], tmp_path: Path, arguments: list[str], message: str
) -> None:
    file("log.csv", "people,thing", "m1,x")
    file("cycle.csv", "item_id,prerequisites", "a,b", "b,a")
    (tmp_path / "empty.csv").write_bytes(b"")
    answer = xuelu("ingest", *arguments)
    assert answer.status == 2
    assert message in answer.complaint


def test_an_organisation_brings_its_own_roles_and_industries(xuelu: Run, file: Callable[..., Path]) -> None:
    roles = file("roles.csv", "code,parent,name_en,name_zh", "rider,,Riders,骑手", "night,rider,Night riders,夜间骑手")
    sectors = file("sectors.csv", "code,parent,name_zh", "food,,外卖")
    assert xuelu("ingest", "roles", roles).out == "2 codes of roles stored\n"
    assert xuelu("ingest", "industries", sectors, "--json").json == {
        "kind": "industries", "codes": 1,
        "members_with_unknown_codes": 0, "items_with_unknown_codes": 0,
        "requirements_with_unknown_codes": 0, "curations_with_unknown_codes": 0, "unknown_codes": [],
    }  # fmt: skip
    members = file("members.csv", "member_id,role,industry", "m1,night,food", "m2,rider,")
    assert xuelu("ingest", "members", members, "--json").json["stored"] == 2
    other = xuelu("ingest", "roles", file("other.csv", "code,parent,name_en", "clerk,,Clerks"))
    assert other.err.startswith(
        "warning: 2 members, 0 items, 0 requirements, 0 curations have codes that this taxonomy lacks, such as night;"
    )
    assert xuelu("ingest", "roles", roles).err == ""
    strangers = file("strangers.csv", "member_id,role,industry", "m3,83,food", "m4,rider,60", "m5,83,60")
    refused = xuelu("ingest", "members", strangers, "--json")
    assert refused.status == 1
    rejects = Path(refused.complaint.split("; see ")[1].strip()).read_text(encoding="utf-8")
    assert "unknown code '83' in own roles" in rejects
    assert "unknown code '60' in own industries; nearest: food (外卖)" in rejects
    other = xuelu("ingest", "members", strangers, "--organisation", "bakers", "--json")
    assert "2 of 3 lines are bad" in other.complaint, "the others have the shipped ones: 83 and 60, no food, no rider"


@ON_SQLITE
def test_a_broken_taxonomy_leaves_the_one_of_before(xuelu: Run, file: Callable[..., Path]) -> None:
    file("roles.csv", "code,parent,name_en", "rider,,Riders")
    assert xuelu("ingest", "roles", "roles.csv").status == 0
    broken = file("broken.csv", "code,parent,name_en", "a,b,A", "b,a,B")
    assert "cycle" in xuelu("ingest", "roles", broken).complaint
    members = file("members.csv", "member_id,role", "m1,rider")
    assert xuelu("ingest", "members", members).status == 0


@pytest.mark.usefixtures("couriers")
def test_the_doctor_reports_and_its_status_says_whether_data_is_sound(xuelu: Run, file: Callable[..., Path]) -> None:
    sound = xuelu("doctor", "--as-of", "2026-03-02")
    assert (sound.status, sound.err) == (0, "")
    lines = [" ".join(line.split()) for line in sound.out.splitlines()]
    assert lines[0] == "Data of organisation 'default'"
    assert {
        "members 23",
        "items 17",
        "events 61",
        "first event 2026-02-20 08:00 UTC",
        "share of events in the future 0.0000",
    } <= set(lines)
    assert lines[-1] == "sound"
    unsound = xuelu("doctor", "--as-of", "2026-02-01T00:00:00")
    assert unsound.status == 1
    assert (
        "not sound: share of events in the future is 100.0%, at most 1.0% is sound (doctor.max_future_share): check"
        in unsound.out
    )
    bad = [f"x{number},nonsense" for number in range(3)] + [f"y{number},83" for number in range(97)]
    xuelu("ingest", "members", file("members.csv", "member_id,role", *bad))
    output = xuelu("doctor", "--as-of", "2026-03-02").out
    assert "Rejects by reason" in output
    assert "role: unknown code" in output


@pytest.mark.usefixtures("couriers")
@pytest.mark.parametrize(("as_of", "status"), [("2026-03-02", 0), ("2026-02-01", 1)])
def test_the_doctor_answers_scripts_in_json_with_the_same_status(xuelu: Run, as_of: str, status: int) -> None:
    answer = xuelu("doctor", "--json", "--as-of", as_of)
    report = answer.json
    assert answer.status == status
    assert list(report) == ["organisation", "figures", "findings", "sound"]
    assert list(report["figures"]) == FIGURES
    assert report["sound"] is (status == 0)
    assert report["figures"]["first_event"] == "2026-02-20T08:00:00Z"


@pytest.mark.usefixtures("couriers")
def test_the_feature_matrices_are_written_where_they_are_wanted(xuelu: Run, tmp_path: Path) -> None:
    answer = xuelu("features", "out", "--as-of", "2026-03-02")
    assert (answer.status, answer.out.splitlines()[0]) == (0, "Written to out")
    summary = xuelu("features", tmp_path / "again", "--as-of", "2026-03-02", "--json").json
    assert summary == {
        "folder": str(tmp_path / "again"),
        "rows": {"interactions.parquet": 60, "profiles.parquet": 22, "mastery.parquet": 20},
    }
    for name in summary["rows"]:
        pd.testing.assert_frame_equal(pd.read_parquet(Path("out", name)), pd.read_parquet(tmp_path / "again" / name))


@ON_SQLITE
def test_simulated_files_come_in_as_they_are(xuelu: Run) -> None:
    size = ("--members", 30, "--items", 20, "--days", 10, "--seed", 3, "--as-of", "2026-03-01", "--bad-lines-share", 0)
    answer = xuelu("simulate", "logs", *size, "--json")
    assert (answer.status, answer.json["folder"]) == (0, "logs")
    for name in ("units.csv", "items.csv", "members.csv", "events.csv.gz"):
        taken = xuelu("ingest", name.partition(".")[0], Path("logs", name), "--json")
        assert (taken.status, taken.err) == (0, ""), name
        assert taken.json["stored"] > 0
    again = xuelu("simulate", "again", *size)
    assert (again.status, again.out.splitlines()[0]) == (0, "Written to again")
    assert Path("logs/events.csv.gz").read_bytes() == Path("again/events.csv.gz").read_bytes()


def test_a_simulation_into_a_file_is_refused(bare: Run, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("mine", encoding="utf-8")
    answer = bare("simulate", "logs", "--members", 5, "--items", 5, "--days", 2)
    assert answer.status == 2
    assert "logs is a file; name a folder" in answer.complaint
