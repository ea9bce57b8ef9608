"""Commands that make and show lists: nightly, show."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.conftest import ON_SQLITE

Run = Callable[..., Any]

# An administrator's own trigger, which holds every run back.
HOLDING = {
    "sqlite": "CREATE TRIGGER hold AFTER UPDATE ON runs WHEN old.status = 'built' AND new.status = 'published' BEGIN "
    "UPDATE runs SET status = 'held', checks = '[{check}]' WHERE run_key = new.run_key; END",
    "postgresql": "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "new.status := 'held'; new.checks := '[{check}]'; RETURN new; END $$; "
    "CREATE TRIGGER hold BEFORE UPDATE ON runs FOR EACH ROW "
    "WHEN (old.status = 'built' AND new.status = 'published') EXECUTE FUNCTION hold()",
}
CHECK = '{"name": "the administrator agrees", "passed": false, "detail": "not today"}'


@pytest.mark.usefixtures("couriers")
def test_a_night_says_what_it_published(xuelu: Run) -> None:
    answer = xuelu("nightly", "--as-of", "2026-03-02T01:30:00")
    assert answer.status == 0
    assert "\nrun " in answer.out
    assert answer.out.endswith(" is published: lists for 23 members and for anyone new as of 2026-03-02 01:30 UTC\n")


@ON_SQLITE
@pytest.mark.usefixtures("couriers")
def test_a_night_answers_scripts_in_json(xuelu: Run) -> None:
    run = xuelu("nightly", "--as-of", "2026-03-02", "--json").json
    assert list(run) == ["run_id", "status", "as_of", "made_at", "counts", "checks"]
    assert (run["status"], run["as_of"]) == ("published", "2026-03-02T00:00:00Z")
    assert run["made_at"].endswith("Z")
    assert run["counts"] == {"events": 61, "lists": 24, "similar_items": 17, "listed_items": 15}
    unpassed = {check["name"]: (check["passed"], check["state"]) for check in run["checks"] if not check["passed"]}
    assert unpassed == {"ranking": (None, "prior")}, "it warns, and is not said to have passed"


@ON_SQLITE
def test_a_night_whose_models_cannot_be_saved_warns_and_has_exit_status_1(xuelu: Run, couriers: Engine) -> None:
    with couriers.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full AFTER UPDATE ON runs WHEN new.status = 'published' BEGIN UPDATE runs"
            " SET counts = json_set(new.counts, '$.failed_artefacts', 1) WHERE run_key = new.run_key; END"
        )
    answer = xuelu("nightly", "--as-of", "2026-03-02")
    assert (answer.status, "warning: 1 file of models cannot be saved" in answer.out) == (1, True)


@ON_SQLITE
@pytest.mark.usefixtures("couriers")
def test_a_night_without_examples_of_its_own_warns_that_its_ranking_is_the_prior(xuelu: Run) -> None:
    out = xuelu("nightly", "--as-of", "2026-03-02").out
    assert "warning of the check 'ranking': learned from 0 items" in out.replace("\n", " ")


@ON_SQLITE
def test_a_night_that_is_held_says_why_and_has_exit_status_1(
    xuelu: Run, couriers: Engine, served: dict[str, Any]
) -> None:
    with couriers.begin() as connection:
        statement = HOLDING[couriers.dialect.name].replace("{check}", CHECK)
        connection.exec_driver_sql(statement)
    answer = xuelu("nightly", "--as-of", "2026-03-02")
    assert answer.status == 1
    assert "is held: lists for" in answer.out
    assert "held back because this does not hold: the administrator agrees (not today)\n" in answer.out
    run_id = answer.out.partition("run ")[2].partition(" ")[0]
    assert f"to serve it all the same: `xuelu runs publish {run_id} --reason WHY`\n" in answer.out
    json_answer = xuelu("nightly", "--as-of", "2026-03-02", "--json")
    assert (json_answer.status, json_answer.json["status"]) == (1, "held")
    assert xuelu("show", "d1", "--json").json["run_id"] == served["run_id"], "the lists of before stay served"


@pytest.mark.usefixtures("couriers")
def test_a_night_without_anything_to_learn_from_is_held(xuelu: Run, couriers: Engine) -> None:
    with couriers.begin() as connection:
        connection.execute(text("DELETE FROM items"))
    answer = xuelu("nightly", "--as-of", "2026-03-02")
    assert answer.status == 1
    assert "the catalogue offers something (none of 0 items is available now; ingest some, or open some)" in answer.out
    assert "runs publish" not in answer.out, "there are no lists to serve"


@pytest.mark.usefixtures("served")
def test_a_list_is_shown_with_a_reason_for_every_item_in_either_language(xuelu: Run) -> None:
    chinese, english = xuelu("show", "d1", "-n", 3), xuelu("show", "d1", "-n", 3, "--language", "en")
    assert chinese.status == english.status == 0
    assert "d1 · by history · 2026-03-02" in chinese.out
    assert "因为您学习过《安全驾驶第4课》" in chinese.out
    assert "Because you studied" in english.out
    assert "安全驾驶第1课" in english.out
    assert chinese.out.count("video") == english.out.count("video") == 3


@pytest.mark.usefixtures("served")
def test_a_list_is_shown_to_scripts_in_json(xuelu: Run) -> None:
    push_list = xuelu("show", "c1", "-n", 2, "--json").json
    assert list(push_list) == [
        "member_id",
        "list_id",
        "run_id",
        "made_at",
        "strategy",
        "generated_by",
        "language",
        "items",
    ]
    assert (push_list["member_id"], push_list["strategy"], push_list["language"]) == ("c1", "history", "en")
    assert push_list["made_at"] == "2026-03-02T01:30:00Z"
    assert [list(item) for item in push_list["items"]] == [
        ["rank", "item_id", "title", "format", "duration_seconds", "language", "url", "reason"]
    ] * 2
    assert list(push_list["items"][0]["reason"]) == ["code", "arguments", "text"]


@pytest.mark.usefixtures("served")
@ON_SQLITE
def test_titles_durations_and_reasons_are_shown_whatever_they_are(xuelu: Run, tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text(
        'item_id,title,duration_seconds\nv1,"[/] Brakes [bold]",59\nv2,[/red],\nv5,,\nv6,[/red],3599\n',
        encoding="utf-8",
    )
    assert xuelu("ingest", "items", path).status == 0
    answer = xuelu("show", "d1", "--language", "en", "-n", 3)
    assert answer.status == 0
    cells = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in answer.out.splitlines() if line.startswith("│")
    ]
    titles = {row[3]: row[1] for row in cells if row[0]}
    assert titles.keys() == {"-", "<1", "60"}
    assert titles["-"] == "v5", "named by its id where it has no title"
    assert "[/] Brakes [bold]" in " ".join(row[1] for row in cells)
    assert "[/red]" in answer.out


@pytest.mark.usefixtures("couriers")
def test_before_the_first_night_there_is_nothing_to_show(xuelu: Run) -> None:
    answer = xuelu("show", "d1")
    assert answer.status == 2
    assert "no lists have been published yet; run `xuelu nightly`" in answer.complaint


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nobody"], "no member 'nobody'"),
        (["show", "d1", "--organisation", "bakers"], "no organisation 'bakers'; known: default"),
        (["nightly", "--organisation", "bakers"], "no organisation 'bakers'; known: default"),
    ],
)
@ON_SQLITE
def test_what_does_not_exist_is_one_line_and_exit_status_2(xuelu: Run, arguments: list[str], message: str) -> None:
    answer = xuelu(*arguments)
    assert answer.status == 2
    assert message in answer.complaint


@ON_SQLITE
def test_what_works_as_of_the_future_and_a_busy_port_are_one_line_and_exit_status_2(xuelu: Run) -> None:
    for command in (["nightly"], ["doctor"], ["features", "out"]):
        future = xuelu(*command, "--as-of", "2199-01-01")
        assert (future.status, future.complaint) == (
            2, "error: --as-of 2199-01-01 00:00 UTC is in the future; give a moment up to now, or none\n",
        )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        answer = xuelu("serve", "--port", port)
    message = f"error: cannot listen on 127.0.0.1, port {port}: something listens there already; choose another"
    assert (answer.status, answer.complaint) == (2, f"{message} --host or --port\n")


@ON_SQLITE
@pytest.mark.usefixtures("couriers")
def test_why_shows_what_scores_are_made_of_and_what_is_left_out(xuelu: Run, couriers: Engine) -> None:
    assert xuelu("nightly", "--as-of", "2026-03-02").status == 0
    explanation = xuelu("why", "d1", "-n", 3, "--json").json
    assert [item["item_id"] for item in explanation["items"]] == [
        item["item_id"] for item in xuelu("show", "d1", "-n", 3, "--json").json["items"]
    ]
    first = explanation["items"][0]
    assert sum(first["breakdown"]["contributions"].values()) == pytest.approx(first["breakdown"]["score"], abs=1e-5)
    out = xuelu("show", "d1", "-n", 3, "--explain", "--language", "en").out
    assert out == xuelu("why", "d1", "-n", 3, "--language", "en").out
    assert "not on the list" in out
    assert "The member has studied it." in out
    no_study = "There is nothing of the member to go by for `history`, `order`: these parts count just that."
    assert no_study in xuelu("why", "new-driver", "-n", 3).out
    assert "nothing of the member" not in out + xuelu("why", "private", "-n", 3).out, "fused ranks count none"
    item_explanation = xuelu("why", "d1", first["item_id"]).out
    assert "rank 1" in item_explanation
    assert "transitions" in item_explanation
    hidden = xuelu("why", "d1", "hidden").out
    assert "not on the list. It is hidden, not open yet, or closed." in hidden.replace("\n", " ")
    assert xuelu("why", "d1", "--since", "2026-03-02", "--json").json["changed"] == ["catalogue"], "an item has closed"
    with couriers.begin() as connection:
        connection.execute(text("UPDATE items SET hidden = true WHERE item_id = 'v5'"))
    assert "Catalogue" in xuelu("why", "d1", "--since", "2026-03-02").out
    assert "leave out the item" in xuelu("why", "d1", "v5", "--since", "2026-03-02").complaint
    assert "no item 'nothing'" in xuelu("why", "d1", "nothing").complaint
    assert "no lists of a night up to 2020" in xuelu("why", "d1", "--as-of", "2020-01-01").complaint


@ON_SQLITE
@pytest.mark.usefixtures("couriers")
def test_show_gives_the_list_after_new_events_and_without_models_that_of_the_night(xuelu: Run, tmp_path: Path) -> None:
    assert xuelu("nightly", "--as-of", "2026-03-02").status == 0
    before, events = xuelu("show", "d1", "--json").json, tmp_path / "events.csv"
    first = before["items"][0]["item_id"]
    events.write_text(f"member_id,item_id,verb,occurred_at\nd1,{first},completed,2026-03-02T01:40:00Z\n")
    assert xuelu("ingest", "events", events).status == 0
    shown, why = (xuelu(name, "d1", "--json").json for name in ("show", "why"))
    assert (before["generated_by"], shown["generated_by"]) == ("batch", "online")
    assert shown["items"] == [{key: item[key] for key in item if key != "breakdown"} for item in why["items"]]
    assert "by history · computed after new events" in xuelu("show", "d1").out
    for artefact in tmp_path.rglob("online_model.artefact"):
        artefact.unlink()
    assert xuelu("show", "d1", "--json").json["generated_by"] == "batch", "as the service does"
