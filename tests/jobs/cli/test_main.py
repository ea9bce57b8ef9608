"""The command line: help, one-line errors, exit statuses."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from jobs.cli.main import app
from tests.limits import HANG_SECONDS
from tests.together import together

Run = Callable[..., Any]


def commands_below(group: Any, before: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return all commands by their words, those in groups after the group's."""
    commands: dict[tuple[str, ...], Any] = {}
    for name, command in group.commands.items():
        words = (*before, name)
        commands |= commands_below(command, words) if hasattr(command, "commands") else {words: command}
    return commands


COMMANDS = commands_below(typer.main.get_command(app))


def test_the_help_names_every_command_and_every_command_has_an_example(bare: Run) -> None:
    answer = bare("--help")
    assert answer.status == 0
    listed = re.findall(r"^  ([a-z][a-z-]+)  ", answer.out, re.MULTILINE)
    assert sorted(listed) == sorted({words[0] for words in COMMANDS})
    assert "Commands:" not in answer.out, "a command has no section"
    for words in COMMANDS:
        help_of = bare(*words, "--help")
        assert (help_of.status, help_of.err) == (0, ""), words
        assert f"Example: xuelu {' '.join(words)}" in help_of.out


@pytest.mark.parametrize("group", [(), *sorted({words[:1] for words in COMMANDS if len(words) > 1})], ids=" ".join)
def test_each_command_is_one_whole_line_of_80_columns_in_the_help(
    bare: Run, monkeypatch: pytest.MonkeyPatch, group: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, _, commands = bare(*group, "--help").out.partition("--help  ")
    for line in commands.splitlines()[1:]:
        assert re.fullmatch(r"|[A-Z][a-z' ]+:|  [a-z-]+ {2,}[A-Z].*\.", line), line


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_is_for(bare: Run, command: tuple[str, ...]) -> None:
    options = bare(*command, "--help").out.split("Options:")[1].split("Example:")[0]
    starts = [line for line in options.splitlines() if line.startswith("  -")]
    assert starts
    for line in starts:
        after = options.split(line, 1)[1].splitlines()
        descriptions = line.split("  ", 2)[2:] or after[1:2]
        assert "".join(descriptions).strip(), line


def test_every_whole_number_is_bounded() -> None:
    """Larger ones than databases and calendars take ended in a traceback."""
    numbers = [
        each
        for command in COMMANDS.values()
        for each in command.params
        if "int" in str(each.type_descriptor.annotation)
    ]
    assert len(numbers) > 20
    assert [each.name for each in numbers if each.max is None] == ["seed"]


def test_without_a_command_the_help_is_shown(bare: Run) -> None:
    assert bare() == bare("--help")


def test_what_is_answered_at_once_imports_no_library_that_loads_slowly() -> None:
    program = "import sys; from jobs.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True, timeout=HANG_SECONDS
    )
    assert not {"pandas", "pyarrow", "sqlalchemy", "fastapi", "implicit", "sklearn"} & set(process.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "M\udcfcller"], r"argument 'M\udcfcller' is not UTF-8"),
        (["bogus"], "No such command 'bogus'"),
        (["nightly", "--bogus"], "No such option: --bogus"),
        (["nightly", "surplus"], "surplus"),
        (["show"], "member"),
        (["show", "m1", "-n"], "-n"),
        (["show", "m1", "-n", "0"], "-n"),
        (["show", "m1", "-n", "many"], "-n"),
        (["show", "m1", "-n", "101"], "-n"),
        (["ingest", "events"], "file"),
        (["ingest", "songs", "x.csv"], "songs"),
        (["doctor", "--as-of", "yesterday"], "'--as-of': 'yesterday' does not match"),
        (["doctor", "--as-of", "0001-01-01"], "1970 to 2199"),
        (["nightly", "--as-of", "9999-12-31"], "1970 to 2199"),
        (["backtest"], "--from"),
        (["backtest", "--from", "2026-02-01", "--to", "2026-02-01", "--horizon-days", "0"], "--horizon-days"),
        (["backtest", "--from", "2026-02-01", "--to", "2026-02-01", "--k", "0"], "--k"),
        (["backtest", "--from", "2026-02-01", "--to", "2026-02-01", "-o", "no/rows.json"], "there is no folder no"),
        (["tune", "ease", "--from", "2026-02-01", "--to", "2026-02-09", "--report", "."], ". is a folder; name a file"),
        (["serve", "--port", "99999"], "--port"),
        (["serve", "--port", "http"], "--port"),
        (["simulate", "x", "--bad-lines-share", "2"], "--bad-lines-share"),
        (["init", "--config", "missing.toml"], "missing.toml cannot be read: No such file or directory; "),
        (["init", "--config", "."], "settings file . cannot be read: Is a directory; "),
        (["init", "--config", sys.executable], "cannot be read: it is not UTF-8; "),
        (["receipt", sys.executable], "XUELU_RECEIPT_KEY is no JSON Web Key"),
        (["report", "missing.json", "-o", "x"], "missing.json cannot be read: No such file or directory; "),
        (["report", ".", "-o", "x"], ". cannot be read: Is a directory; "),
        (["nightly", "--organisation", ""], "organisation ''"),
    ],
)
def test_bad_use_is_one_line_and_exit_status_2(bare: Run, arguments: list[str], message: str) -> None:
    answer = bare(*arguments)
    assert answer.status == 2
    assert message in answer.complaint


@together(
    "arguments",
    [
        ["doctor"],
        ["nightly"],
        ["show", "m1"],
        ["backtest", "--from", "2026-02-01", "--to", "2026-02-02"],
        ["serve"],
        ["features", "out"],
    ],
)
@pytest.mark.usefixtures("empty")
def test_a_database_without_tables_is_one_line_that_names_init(xuelu: Run, arguments: list[str]) -> None:
    answer = xuelu(*arguments)
    assert answer.status == 2
    assert "xuelu init" in answer.complaint
    assert "open-sesame" not in answer.complaint


def test_a_wrong_setting_of_the_environment_is_one_line(bare: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUELU_MODELS__LIST_LENGTH", "0")
    answer = bare("nightly")
    assert answer.status == 2
    assert "models.list_length = '0'" in answer.complaint


@pytest.mark.parametrize(
    "url", ["postgresql://xuelu:open-sesame@/x?host=/nowhere", "mysql://xuelu:open-sesame@x/y", "no"]
)
@pytest.mark.parametrize("command", ["init", "nightly", "serve"])
def test_a_database_that_is_away_is_one_line_without_the_password(
    bare: Run, monkeypatch: pytest.MonkeyPatch, url: str, command: str
) -> None:
    monkeypatch.setenv("XUELU_DATABASE_URL", url)
    answer = bare(command)
    assert answer.status == 2
    assert "open-sesame" not in answer.complaint


@pytest.mark.usefixtures("empty")
def test_init_makes_the_database_and_does_not_tell_its_password(xuelu: Run) -> None:
    for _ in range(2):
        answer = xuelu("init")
        assert (answer.status, answer.err) == (0, "")
        assert "is ready. Next: xuelu ingest." in answer.out
        assert "open-sesame" not in answer.out
    json_answer = xuelu("init", "--json")
    assert list(json_answer.json) == ["database"]
    assert "open-sesame" not in json_answer.out
    assert "no organisation 'default'; known: none yet" in xuelu("doctor").complaint


def test_a_folder_that_cannot_be_written_is_one_line(
    xuelu: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blocked").write_text("a file", encoding="utf-8")
    monkeypatch.setenv("XUELU_REJECTS_FOLDER", str(tmp_path / "blocked"))
    (tmp_path / "members.csv").write_text("member_id,role\nm1,nonsense\n", encoding="utf-8")
    answer = xuelu("ingest", "members", tmp_path / "members.csv")
    assert answer.status == 2
    assert "blocked" in answer.complaint
    assert xuelu("doctor", "--json").json["figures"]["members"] == 0


def test_a_command_stopped_by_hand_says_nothing_but_that_it_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "taxonomy.csv"
    path.write_text("code,parent,name_en\na,,A\n", encoding="utf-8")
    # The program presses Ctrl-C on itself at the moment it opens the file.
    program = (
        "import os, signal, sys\n"
        # Where the tests run in the background, the shell has told them to ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def press(event, given):\n"
        f"    if event == 'open' and str(given[0]) == {str(path)!r}:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.addaudithook(press)\n"
        "from jobs.cli.main import run\n"
        "run()\n"
    )
    command = [sys.executable, "-c", program, "ingest", "roles", str(path)]
    process = subprocess.run(command, capture_output=True, check=False, text=True, timeout=HANG_SECONDS, cwd=tmp_path)
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in process.stderr
    assert process.stdout == ""


def test_the_installed_command_hands_its_status_to_the_shell(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("xuelu")
    process = subprocess.run(
        [program, "bogus"], capture_output=True, check=False, text=True, timeout=HANG_SECONDS, cwd=tmp_path
    )
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.startswith("error: ")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - nothing was made


def test_the_version_and_short_help_are_there(bare: Run) -> None:
    assert bare("--version").out == f"{version('xuelu')}\n"
    assert "Usage: xuelu" in bare("-h").out
    assert "Usage: xuelu runs list" in bare("runs", "list", "-h").out


def test_a_group_without_a_command_answers_with_its_help(bare: Run) -> None:
    answer = bare("runs")
    assert (answer.status, answer.err) == (2, "")
    assert "Usage: xuelu runs" in answer.out
    assert answer.out.count("\n") > 5


def test_a_checked_model_has_a_line_for_each_check_and_how_many_hold(bare: Run) -> None:
    whole = bare("check-model", "recommender.models.popularity:Popularity")
    assert (whole.status, whole.out.splitlines()[-1]) == (0, f"checks: {whole.out.count('ok     ')} hold, 0 do not")
    broken = bare("check-model", "tests.recommender.test_model_contract:Impatient")
    assert broken.status == 1
    assert (
        broken.out.splitlines()[-1]
        == f"checks: {broken.out.count('ok     ')} hold, {broken.out.count('fails  ')} do not"
    )
    assert "fails  It can be fitted on members and items without any events: " in broken.out
