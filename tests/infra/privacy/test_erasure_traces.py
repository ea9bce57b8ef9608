"""Erasure of the traces that are not rows of the member: statements, files, artefacts, wherever they are."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, func, insert, select, update

from infra.catalog import organisations
from infra.db.access_tables import data_folders
from infra.db.core_tables import events
from infra.db.engine import transaction
from infra.db.lrs_tables import statement_attachments, statements
from infra.errors import UnknownMemberError
from infra.ingest import rejects
from infra.lrs import store as lrs
from infra.privacy import export
from infra.runs import artefacts
from infra.runs import store as runs
from infra.settings.settings import Settings
from jobs.ingest.doctor import examine
from jobs.ingest.ingest import READING_SHARE, ingest
from jobs.nightly.night import nightly
from jobs.progress import StepProgress
from tests.conftest import Take
from tests.infra.privacy.erasing import erase

HOME = "https://lms.example.org"
ELSEWHERE = "https://old.example.org"


def store(engine: Engine, now: datetime, *statements_: dict[str, Any], home_page: str | None = HOME) -> None:
    """Store statements as the service does."""
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        authority = {"mbox": "mailto:lms@example.org"}
        lrs.store(session, key, list(statements_), authority=authority, home_page=home_page, clock=lambda: now)


def statement(**more: Any) -> dict[str, Any]:
    """Return a statement by an account."""
    actor = {"account": {"homePage": HOME, "name": "wang"}}
    plain = {"actor": actor, "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"}, "object": {"id": "o1"}}
    return {**plain, "timestamp": "2026-02-27T08:00:00Z"} | more


def account(name: str, page: str = HOME) -> dict[str, Any]:
    """Return an agent with an account."""
    return {"account": {"homePage": page, "name": name}}


def count(engine: Engine) -> int:
    """Return the number of statements."""
    with transaction(engine) as session:
        return session.scalar(select(func.count()).select_from(statements)) or 0


@pytest.fixture
def settings(settings: Settings, couriers: Engine) -> Settings:
    """Return the settings of an organisation with items, whose platform names members by accounts."""
    del couriers
    return settings.model_copy(update={"xapi_home_page": HOME})


@pytest.mark.parametrize(
    "traces",
    [
        statement(actor=account("li ")),
        statement(actor=account("\u00a0\u200bli\t")),
        statement(context={"instructor": account("li ")}),
        statement(context={"team": {"objectType": "Group", "member": [account(" li")]}}),
        statement(object={"objectType": "SubStatement", **statement(actor=account("li"))}),
    ],
)
def test_statements_that_name_the_member_are_erased(
    engine: Engine, settings: Settings, take: Take, now: datetime, traces: dict[str, Any]
) -> None:
    take("members", "member_id\nli\n")
    store(engine, now, traces, statement(), statement(actor=account("li", ELSEWHERE)), statement(actor=account("lin")))
    assert erase(engine, settings, now, "li")["erased"]["statements"] == 1
    assert count(engine) == 3, "those of others, and of another platform's account of the same name, stay"


def test_words_in_the_statements_of_others_lose_the_id(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    ids = ["wang-li", "1234567"]
    take("members", "\n".join(["member_id", *ids, "Activity"]))

    def words(*named: Any) -> dict[str, Any]:
        extensions = {"https://x.example/with": [named[0], {"id": named[1]}], "https://x.example/wang-li": "wang-li-2"}
        platform = {"platform": f"desk of {named[0]}"}
        return {"result": {"response": f"asked {named[0]}", "extensions": extensions}, "context": platform}

    definition = {"name": {"id": "wang-li"}, "description": {"en": "wang-lin"}}
    activity = {"id": "https://x.example/wang-li", "objectType": "Activity", "definition": definition}
    actor = account("wang-li", ELSEWHERE) | {"name": "a friend of wang-li"}
    store(engine, now, statement(actor=actor, object=activity, **words(*ids)))
    store(engine, now, statement(**words("lin", 1234567)))
    with transaction(engine) as session:
        row = {"organisation_key": organisations.key_of(session, "default"), "stored_at": now, "sha2": "0"}
        session.execute(insert(statement_attachments).values(**row, content=b"\0 for wang-li"))
    reports = [erase(engine, settings, now, member) for member in [*ids, "Activity"]]
    assert [report["erased"].get("texts") for report in reports] == [2, 2, None]
    assert [len(report["left"]) for report in reports] == [1, 0, 0]
    assert "statement_attachments" in reports[0]["left"][0]
    with transaction(engine) as session:
        stored = [json.loads(text) for text in session.scalars(select(statements.c.statement))]
        assert set(session.scalars(select(events.c.device))) == {None, "desk of (erased)", "desk of lin"}
    redacted = [words("(erased)", "(erased)"), words("lin", "(erased)")]
    assert [{name: row[name] for name in ("result", "context")} for row in stored] == redacted
    definition["name"] = {"id": "(erased)"}  # in Indonesian
    assert stored[0]["object"] == activity, "identifiers stay"
    assert stored[0]["actor"] == actor | {"name": "a friend of (erased)"}


def test_an_import_that_is_under_way_is_left(engine: Engine, settings: Settings, now: datetime, tmp_path: Path) -> None:
    file = tmp_path / "members.csv"
    file.write_text("member_id\nli\nwang\n", encoding="utf-8")
    left: list[list[str]] = []

    def erase_li(share: float) -> None:
        if READING_SHARE < share < 1:
            left.append(erase(engine, settings, now, "li")["left"])

    ingest(engine, settings, file, "members", now=now, slice_rows=1, progress=erase_li)
    left.append(erase(engine, settings, now, "wang")["left"])
    assert left == [["members.csv is being imported; run this again when that has ended"], []]


def test_statements_from_before_the_home_page_changed_are_found_by_their_events(
    engine: Engine, settings: Settings, now: datetime
) -> None:
    store(engine, now, statement(actor=account("li", ELSEWHERE)), home_page=ELSEWHERE)
    assert erase(engine, settings, now, "li")["erased"] == {"events": 1, "statements": 1}
    assert count(engine) == 0


def test_a_person_whom_only_statements_name_is_exported_and_erased(
    engine: Engine, settings: Settings, now: datetime
) -> None:
    store(engine, now, statement(context={"instructor": {"mbox": "mailto:li@Example.ORG"}}), statement())
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        assert len(export.export(session, key, "li@example.org", home_page=HOME)["statements"]) == 1
    assert erase(engine, settings, now, "li@example.org")["erased"] == {"statements": 1}
    with pytest.raises(UnknownMemberError):
        erase(engine, settings, now, "li@example.org")
    assert count(engine) == 1


class Killed(BaseException):
    """Stands for the end of the process."""


def test_the_files_of_a_killed_night_go(engine: Engine, settings: Settings, take: Take, now: datetime) -> None:
    def die(progress: StepProgress) -> None:
        if progress.step == "lists" and progress.state == "started":
            raise Killed

    take("members", "member_id\nli\n")
    take("events", "member_id,item_id,verb,occurred_at\nli,o1,completed,2026-02-25\n")
    with pytest.raises(Killed):
        nightly(engine, settings, now=now, progress=die)
    left = [path for path in settings.artefacts_folder.rglob("*") if path.is_file()]
    assert left, "the night keeps what it has made so far"
    assert erase(engine, settings, now, "li")["left"] == []
    assert [path for path in settings.artefacts_folder.rglob("*") if path.is_file()] == []


def test_a_night_during_which_a_member_is_erased_begins_again_without_it(
    couriers: Engine, settings: Settings, now: datetime
) -> None:
    left: list[str] = []

    def erase_meanwhile(progress: StepProgress) -> None:
        if (progress.step, progress.state) == ("lists", "started") and not left:
            left.extend([*erase(couriers, settings, now, "d3")["left"], "erased"])

    run = nightly(couriers, settings, now=now, progress=erase_meanwhile)
    assert left == ["erased"], "the night that runs sees to its own files"
    assert (run["status"], run["counts"]["lists"]) == ("published", 23)
    assert run["counts"]["events"] == 58
    files = [path for path in settings.artefacts_folder.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files if path.suffix == artefacts.ENDING} == {run["run_id"]}
    assert all(b"\x02d3" not in path.read_bytes() for path in files)


def test_artefacts_in_an_earlier_working_folder_go_and_those_of_another_machine_are_named(
    engine: Engine, settings: Settings, take: Take, now: datetime, tmp_path: Path
) -> None:
    take("members", "member_id\nli\n")
    earlier = settings.model_copy(update={"artefacts_folder": tmp_path / "earlier"})
    run = nightly(engine, earlier, now=now)
    assert b"li" in b"".join(path.read_bytes() for path in (tmp_path / "earlier").rglob("*.artefact"))
    elsewhere = update(data_folders).values(host="other-machine")
    assert erase(engine, settings, now, "li")["left"] == []
    files = [path for path in (tmp_path / "earlier").rglob("*") if path.is_file()]
    assert all(b"\x02li" not in path.read_bytes() and b"\x8c\x02li" not in path.read_bytes() for path in files)

    take("members", "member_id\nwu\n")
    with transaction(engine) as session:
        session.execute(elsewhere.where(data_folders.c.kind == "artefacts"))
    (tmp_path / "earlier").rename(tmp_path / "moved")
    left = erase(engine, settings, now, "wu")["left"]
    assert left == [f"artefacts in {tmp_path / 'earlier'} on other-machine; run this again there, or remove the folder"]
    assert run["status"] == "published"


def test_a_folder_of_no_run_that_holds_the_member_is_named_by_erasure_and_doctor(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    take("members", "member_id\nmember-li\nmember-wu\n")
    stray = settings.artefacts_folder / str(uuid4())
    stray.mkdir(parents=True)
    (stray / "state.artefact").write_bytes(999_995 * b"." + b"member-li" + 5 * b".")
    (stray / "empty.artefact").write_bytes(b"")
    (settings.artefacts_folder / "notes").mkdir()
    named = f"{stray} is of no run of this database and may name the member; remove it, or erase there"
    assert erase(engine, settings, now, "member-li")["left"] == [named]
    assert erase(engine, settings, now, "member-wu")["left"] == []
    assert examine(engine, settings, now=now)["figures"]["stray_artefact_folders"] == [str(stray)]


def test_what_cannot_be_removed_is_named_and_the_member_can_be_erased_again(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    take("members", "member_id\nli\nwu\n")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        record = {"settings_digest": "0", "code_version": "0", "seeds": {}}
        run = runs.get(session, runs.start(session, key, as_of=now, now=now, record=record))
    settings.artefacts_folder.mkdir(parents=True, exist_ok=True)
    stuck = settings.artefacts_folder / run["run_id"]
    stuck.write_bytes(b"no folder")
    assert erase(engine, settings, now, "li")["left"] == [f"{stuck.resolve()} cannot be removed; remove it"]


def test_rejects_of_other_organisations_and_other_values_stay(
    engine: Engine, settings: Settings, now: datetime, tmp_path: Path
) -> None:
    lenient = settings.model_copy(update={"max_reject_share": 1.0})
    other = lenient.model_copy(update={"organisation": "bakers"})
    file = tmp_path / "events.csv"
    file.write_text(
        "member_id,item_id,verb,occurred_at,score\n"
        "12,o1,completed,2026-02-25,\n"
        "12,o1,watched,2026-02-25,\n"
        "m7,o1,completed,2026-02-25,12\n",
        encoding="utf-8",
    )
    for organisation_settings in (lenient, other):
        ingest(engine, organisation_settings, file, "events", now=now)
    files = {
        name: rejects.folder_of(settings.rejects_folder, name) / "events.csv.rejects.csv"
        for name in ("default", "bakers")
    }
    for path in files.values():
        with path.open("a", encoding="utf-8") as lines:
            lines.write('7,member_id,12,too long\n8,,"12,o1,watched,2026-02-25",quotes\n9,score,12,out of range\n')
            lines.write("10,member_id,m12,too long\n11,,{m12},no JSON\n12,verb,line,unknown\n")
            lines.write('13,actor,"{""mbox"":""mailto:12""}",no address\n')
    before = files["default"].read_text(encoding="utf-8")
    report = erase(engine, lenient, now, "12")
    assert (report["left"], report["erased"]["lines_of_rejects"]) == ([], 3)
    gone = ("7,member_id", "8,,", "13,actor")
    lines_left = [line for line in before.splitlines() if not line.startswith(gone)]
    assert files["default"].read_text(encoding="utf-8").splitlines() == lines_left
    assert lines_left[0] == "line,field,value,reason"
    assert files["bakers"].read_text(encoding="utf-8") == before


def test_a_member_of_whom_only_files_are_left_can_be_erased_again(
    engine: Engine, settings: Settings, now: datetime
) -> None:
    with transaction(engine) as session:
        organisations.ensure(session, "default", now=now)
    folder = rejects.folder_of(settings.rejects_folder, "default")
    folder.mkdir(parents=True)
    (folder / "a.csv.rejects.csv").write_text("line,field,value,reason\n2,member_id,li,bad\n", encoding="utf-8")
    assert erase(engine, settings, now, "li")["erased"] == {"lines_of_rejects": 1}
    with pytest.raises(UnknownMemberError):
        erase(engine, settings, now, "li")


def test_two_organisations_keep_their_rejects_apart(tmp_path: Path) -> None:
    names = ["default", "bakers", "..", ".", "a/b", "快递" * 50, "a" * 100, "CON:"]
    folders = [rejects.folder_of(tmp_path, name) for name in names]
    assert len(set(folders)) == len(names)
    assert {folder.parent for folder in folders} == {tmp_path}
    assert all(len(folder.name.encode()) <= 100 for folder in folders)


def test_a_running_worker_and_foreign_folders_do_not_stop_an_erasure(
    engine: Engine, settings: Settings, take: Take, now: datetime, tmp_path: Path
) -> None:
    from infra.delivery import claims, endpoints, outbox  # noqa: PLC0415 - of this test only

    take("members", "member_id,language\nli,en\nwu,en\n")
    nightly(engine, settings, now=now)
    batches = tmp_path / "batches"
    for name in ("taken", "foreign", "broken", "list"):
        (batches / name).mkdir(parents=True)
    manifest = {"organisation": "default", "lists": 1, "files": [{"name": "lists.jsonl", "rows": 1}]}
    (batches / "taken/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (batches / "foreign/manifest.json").write_text('{"name": "my app"}', encoding="utf-8")
    (batches / "broken/manifest.json").write_bytes(b"\xff{")
    (batches / "list/manifest.json").write_text("[1]", encoding="utf-8")
    outside = {"organisation": "default", "lists": 1, "files": [{"name": "../../precious"}]}
    (batches / "foreign/manifest.json").write_text(json.dumps(outside), encoding="utf-8")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        endpoint = endpoints.add_endpoint(session, key, "jsonl", str(batches), now=now)
        part = batches / f".{endpoint['endpoint_id']}-20260302T080000Z-0.part"
        part.mkdir()
        (part / "lists.jsonl").write_text('{"member_id":"li"}\n', encoding="utf-8")
        run_key = runs.latest(session, key)["run_key"]
        outbox.enqueue(session, key, run_key, settings, now=now)
        claimed = claims.claim(session, endpoint["endpoint_key"], limit=100, lease=timedelta(minutes=30), now=now)
    report = erase(engine, settings, now, "li")
    assert not part.exists()
    assert report["left"] == [f"a batch is being written to {batches}; run this again after 2026-03-02 02:00 UTC"]
    with transaction(engine) as session:
        assert [claim["member_id"] for claim in claims.missing(session, claimed)] == ["li"]
