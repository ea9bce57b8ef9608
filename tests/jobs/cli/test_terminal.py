"""Options, progress, tables and JSON of all commands."""

import io
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from infra.errors import SettingsError
from jobs.cli.terminal import (
    CONTROLS,
    clock,
    echo_text,
    echo_warning,
    in_utc,
    print_figures,
    print_json,
    print_rows,
    print_table,
    progress_bar,
    settings_for,
)


def test_json_is_one_line_with_paths_as_text_and_times_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"path": Path("a/b"), "at": datetime(2026, 3, 1, 8, tzinfo=UTC), "text": "快递\n", 1: None})
    out = capsys.readouterr().out
    assert out == '{"path":"a/b","at":"2026-03-01T08:00:00Z","text":"快递\\n","1":null}\n'


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk"])
def test_json_is_json_in_each_encoding_of_the_terminal(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters that it lacks were written as Python escapes them."""
    value, out = {"title": "Café 快递 😀 \x7f"}, io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding, "backslashreplace", write_through=True))
    print_json(value)
    assert orjson.loads(out.getvalue()) == value


def test_a_value_that_json_does_not_have_is_an_error() -> None:
    with pytest.raises(orjson.JSONEncodeError):
        print_json({"value": object()})


def test_figures_stand_one_to_a_line_with_times_numbers_and_flags_for_people(
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = {
        "first_event": datetime(2026, 3, 1, tzinfo=UTC),
        "events": 1234567,
        "share": 0.25,
        "sound": True,
        "none": None,
        "counts": {"similar_items": 1234, "lists": 2},
        "seeds": {},
    }
    print_figures("Figures", values | {"unsound": False, "name": "x"})
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "Figures",
        "first event 2026-03-01 00:00 UTC",
        "events 1,234,567",
        "share 0.2500",
        "sound yes",
        "none -",
        "counts similar items 1,234, lists 2",
        "seeds -",
        "unsound no",
        "name x",
    ]


@pytest.mark.parametrize("text", ["[bold]Knots", "Knots [/]", "[/red] Knots", ":smile: Knots", "\\[x] Knots"])
def test_what_looks_like_markup_in_a_title_is_shown_as_it_is(capsys: pytest.CaptureFixture[str], text: str) -> None:
    print_table(text, ["title", "number"], [(text, 1)])
    assert capsys.readouterr().out.count(text) == 2


def test_an_empty_table_has_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Nothing", ["title", "number"], [])
    assert "number" in capsys.readouterr().out


def test_a_bar_is_shown_on_a_terminal_only(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with progress_bar("quiet") as show_share:
        show_share(0.5)
    assert capfd.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    with progress_bar("loud [red]\x1b]0;x") as show_share:
        show_share(0.5)
        show_share(1.0)
    assert "loud [red]\\x1b]0;x" in capfd.readouterr().err


def test_moments_of_the_command_line_are_in_utc() -> None:
    assert in_utc(None) is None
    eight = datetime.fromisoformat("2026-03-01T08:30+08:00")
    assert in_utc(eight) == datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
    assert in_utc(datetime(2026, 3, 1)) == datetime(2026, 3, 1, tzinfo=UTC)  # noqa: DTZ001 - as the command line gives it
    assert clock().tzinfo is UTC


def test_options_overrule_the_environment_which_overrules_the_file(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = working_folder / "own.toml"
    path.write_text('organisation = "file"\nauto_create = true\nport = 1\n', encoding="utf-8")
    monkeypatch.setenv("XUELU_ORGANISATION", "environment")
    assert settings_for(path).organisation == "environment"
    assert settings_for(path, "option", auto_create=False, port=None).model_dump(
        include={"organisation", "auto_create", "port"}
    ) == {"organisation": "option", "auto_create": False, "port": 1}


@pytest.mark.parametrize("name", ["", "x" * 101])
def test_an_option_is_checked_like_a_setting(working_folder: Path, name: str) -> None:
    assert os.getcwd() == str(working_folder)  # noqa: PTH109 - no settings file is there
    with pytest.raises(SettingsError, match="organisation"):
        settings_for(None, name)


def test_control_characters_are_shown_escaped_and_ids_whole(capsys: pytest.CaptureFixture[str]) -> None:
    run_id = "5f0a6f5e-3c1b-4d2e-9f00-0123456789ab"
    print_table("Runs", ("run_id", "title"), [[run_id, "red \x1b[31m and a bell \x07 " + "x" * 60]])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert run_id in shown
    assert "\\x1b[31m" in shown


def test_a_time_stays_on_its_line_and_a_table_that_is_too_wide_for_it_is_not_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "36")
    row = {"name": "a study app", "expires_at": datetime(2027, 12, 1, 2, 8, tzinfo=UTC)}
    print_table("Keys", list(row), [list(row.values())])
    assert "2027-12-01 02:08 UTC" in capsys.readouterr().out
    print_rows("Keys", list(row), [row])
    assert "┃" in capsys.readouterr().out
    print_rows("Keys", ["application", *row], [{"application": "x", **row}])
    out = capsys.readouterr().out
    assert "┃" not in out
    assert "2027-12-01 02:08 UTC" in out


def test_no_text_of_others_commands_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    odd = "a\x1b]0;title\x07 \x9b31m\u202e快递"
    echo_text(odd)
    echo_warning(odd)
    print_figures(odd, {"columns": [odd]})
    print_json({odd: odd})
    shown = capsys.readouterr()
    assert not CONTROLS.search(shown.out + shown.err)
    assert "快递" in shown.out
    assert orjson.loads(shown.out.splitlines()[-1]) == {odd: odd}
