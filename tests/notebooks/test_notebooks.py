"""Notebooks import everything, define nothing, have small outputs or none, and run anywhere, warnings being errors."""

import ast
import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from tests.limits import HANG_SECONDS

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FROM_LOGS_TO_LISTS = ROOT / "notebooks" / "01_from_logs_to_lists.ipynb"
COMPARE_MODELS = ROOT / "notebooks" / "02_compare_models.ipynb"
POLICIES = ROOT / "notebooks" / "03_policies.ipynb"
TUNING = ROOT / "notebooks" / "04_tuning.ipynb"
EXPERIMENTS = ROOT / "notebooks" / "05_experiments.ipynb"
STORED = (POLICIES, TUNING, EXPERIMENTS)
"""Notebooks with stored outputs, which their pages in the docs show."""
DATA = ROOT / os.environ.get("XUELU_DATA", "../shared/data")

LINES_OF_A_CELL = 20
FIRST = """
get_ipython().reset(new_session=False)
import os, tempfile, warnings
os.environ |= {environment!r}
os.chdir({folder!r})
tempfile.tempdir = None
warnings.simplefilter("error")
warnings.filterwarnings("always", "IProgress not found")
"""
"""The warning of a progress bar is made where an error would be swallowed."""
# On its way out the kernel warns of itself.
LAST = "import warnings; warnings.simplefilter('ignore')"

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


@dataclass(frozen=True)
class Run:
    """A notebook with its outputs, and the folder its kernel lived in."""

    notebook: nbformat.NotebookNode
    folder: Path

    def outputs(self) -> dict[str, list[nbformat.NotebookNode]]:
        """Return the outputs of each code cell, by the cell's id."""
        return {cell.id: cell.outputs for cell in self.notebook.cells if cell.cell_type == "code"}

    def texts(self, mime_type: str) -> list[str]:
        """Return all outputs of a MIME type."""
        mime_bundles = [output.get("data", {}) for outputs in self.outputs().values() for output in outputs]
        return [data[mime_type] for data in mime_bundles if mime_type in data]


@contextmanager
def new_kernel() -> Iterator[AsyncKernelManager]:
    """Yield a kernel, which the first notebook starts and the end stops."""
    kernel = AsyncKernelManager(kernel_name="python3")
    try:
        yield kernel
    finally:
        asyncio.run(kernel.shutdown_kernel(now=True))


@pytest.fixture(scope="module")
def kernel() -> Iterator[AsyncKernelManager]:
    """Return a kernel for notebooks one after the other: it costs more to start and to import than many a notebook."""
    with new_kernel() as kernel:
        yield kernel


def run(path: Path, data: Path, folder: Path, kernel: AsyncKernelManager) -> Run:
    """Return a notebook run on the logs in ``data``, in an empty folder and with a temporary folder of its own.

    The kernel's names of earlier notebooks are gone, so that each notebook has to import everything.
    """
    notebook = nbformat.read(path, as_version=4)
    places = {name: folder / name for name in ("work", "temporary")}
    for place in places.values():
        place.mkdir(parents=True)
    environment = {"XUELU_DATA": str(data), "XUELU_DATABASE_URL": f"sqlite:///{folder / 'not-ours.db'}"}
    environment |= {"TMPDIR": str(places["temporary"])}
    first = FIRST.format(environment=environment, folder=str(places["work"]))
    first, last = nbformat.v4.new_code_cell(first, id="first"), nbformat.v4.new_code_cell(LAST, id="last")
    notebook.cells = [first, *notebook.cells, last]
    without_settings = {name: value for name, value in os.environ.items() if not name.startswith("XUELU_")}
    client = NotebookClient(notebook, km=kernel, timeout=HANG_SECONDS)
    try:
        client.execute(env=without_settings | {"IPYTHONDIR": str(folder / "ipython")})
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
    return Run(notebook, folder)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory, kernel: AsyncKernelManager) -> Run:
    """Return the first notebook run where there are no real logs."""
    folder = tmp_path_factory.mktemp("simulated")
    return run(FROM_LOGS_TO_LISTS, folder / "no-data", folder, kernel)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, kernel: AsyncKernelManager) -> Run:
    """Return the second notebook run where there are no real logs."""
    folder = tmp_path_factory.mktemp("compared")
    return run(COMPARE_MODELS, folder / "no-data", folder, kernel)


@pytest.fixture(scope="module", params=STORED, ids=lambda path: path.name)
def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kernel: AsyncKernelManager
) -> tuple[Path, Run]:
    """Return each notebook with stored outputs, and its run."""
    folder = tmp_path_factory.mktemp("stored")
    return request.param, run(request.param, folder / "no-data", folder, kernel)


def code_of(path: Path) -> Iterator[tuple[str, ast.Module]]:
    """Yield the id and the syntax tree of each code cell."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            yield cell.id, ast.parse(cell.source)


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path not in STORED], ids=lambda path: path.name)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert cells
    assert [cell.id for cell in cells if cell.outputs or cell.execution_count or cell.metadata] == []


def test_stored_outputs_are_small_titled_and_of_the_kinds_that_a_run_gives(stored: tuple[Path, Run]) -> None:
    path, again = stored
    filed = Run(nbformat.read(path, as_version=4), path.parent)
    picture = ROOT / "docs" / "assets" / f"notebook-{path.stem[3:]}.svg"

    kinds = {
        cell: [sorted(output.get("data", {"none": ""})) for output in cells] for cell, cells in again.outputs().items()
    }
    stored_kinds = {cell: [sorted(output["data"]) for output in cells] for cell, cells in filed.outputs().items()}
    assert stored_kinds == {cell: kinds[cell] for cell in stored_kinds}
    assert path.stat().st_size < 100_000
    assert picture.read_text(encoding="utf-8").strip() == filed.texts("image/svg+xml")[0].strip()
    for chart in again.texts("image/svg+xml"):
        assert "role-title-text" in chart
        assert "role-axis-title" in chart
    assert not any((again.folder / "work").rglob("*"))


@every_notebook
def test_a_notebook_defines_nothing(path: Path) -> None:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    places = [
        (cell, node.lineno) for cell, tree in code_of(path) for node in ast.walk(tree) if isinstance(node, definitions)
    ]
    assert places == []


@every_notebook
def test_a_notebook_is_prose_and_short_code_in_turn(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    kinds = [cell.cell_type for cell in cells]
    before_code = [kinds[place - 1] for place in range(1, len(kinds)) if kinds[place] == "code"]
    assert kinds[0] == "markdown"
    assert set(before_code) == {"markdown"}
    assert [cell.id for cell in cells if cell.cell_type == "code" and cell.source.count("\n") >= LINES_OF_A_CELL] == []


@every_notebook
def test_a_notebook_names_no_place_of_one_machine(path: Path) -> None:
    texts = [
        node.value
        for _, tree in code_of(path)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    places = [
        text
        for text in texts
        if text.startswith("~") or PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
    ]
    assert texts
    assert places == []


def test_simulated_logs_stand_in_where_the_real_ones_are_absent(simulated: Run) -> None:
    assert simulated.outputs()["files"][0]["data"]["text/plain"] == "'simulated'"
    assert "400" in simulated.outputs()["ingest"][0]["data"]["text/html"]


def test_a_run_complains_of_nothing(simulated: Run, compared: Run) -> None:
    for notebook_run in (simulated, compared):
        complaints = [
            output for outputs in notebook_run.outputs().values() for output in outputs if "data" not in output
        ]
        assert complaints == []


def test_every_chart_is_titled_its_axes_are_named_and_its_bars_have_a_colour(simulated: Run, compared: Run) -> None:
    charts = [*simulated.texts("image/svg+xml"), *compared.texts("image/svg+xml")]
    assert len(charts) == 7 + 4
    bars = [bar for chart in charts for bar in re.findall(r"<path [^>]*aria-roledescription=\"bar\"[^>]*>", chart)]
    assert len(bars) > len(charts)
    assert [bar for bar in bars if 'fill="#' not in bar] == []
    for chart in charts:
        assert "role-title-text" in chart
        assert "role-axis-title" in chart


def test_models_are_compared_with_intervals_by_slice_and_list_against_list(compared: Run) -> None:
    table = compared.outputs()["summary"][0]["data"]["text/html"]
    assert all(f"<th>{name}</th>" in table for name in ("default", "popularity", "segment", "content"))
    assert "✓" in compared.outputs()["lists"][0]["data"]["text/html"]
    assert "95 %" in compared.texts("text/markdown")[0]


def test_the_member_reads_each_reason_in_both_languages(simulated: Run) -> None:
    table = simulated.outputs()["words"][0]["data"]["text/html"]
    assert table.count("Because you finished “") == table.count("因为您学完了《") > 0
    assert "nan" not in table.lower()
    paragraph = simulated.outputs()["sentence"][0]["data"]["text/markdown"]
    assert sum(int(count) for count in re.findall(r"\* for (\d+)", paragraph)) == len(re.findall("<tr>", table)) - 1 > 0


def test_nothing_is_left_behind(simulated: Run, compared: Run) -> None:
    for notebook_run in (simulated, compared):
        left = [file for place in ("work", "temporary") for file in (notebook_run.folder / place).rglob("*")]
        assert left == []


def test_a_database_named_by_the_environment_is_not_touched(simulated: Run) -> None:
    assert not (simulated.folder / "not-ours.db").exists()


def test_a_second_run_in_another_process_gives_the_same_outputs(simulated: Run, tmp_path: Path) -> None:
    with new_kernel() as another:
        again = run(FROM_LOGS_TO_LISTS, tmp_path / "no-data", tmp_path, another)
    for mime_type in ("text/html", "text/markdown", "image/svg+xml"):
        assert again.texts(mime_type) == simulated.texts(mime_type) != []


def sample(source: Path, target: Path) -> int:
    """Copy the rows of three in a hundred members; return how many there are."""
    header, *rows = source.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [row for row in rows if row.partition(",")[0].endswith(("07", "67", "77"))]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join([header, *rows]), encoding="utf-8")
    return len(rows)


@pytest.mark.skipif(not (DATA / "mars").is_dir(), reason=f"needs the real logs of MARS in {DATA}; set XUELU_DATA")
def test_real_logs_are_read_where_they_are_present(tmp_path: Path, kernel: AsyncKernelManager) -> None:
    """Three in a hundred of them: the guide docs/how-to/mars.md, whose commands are run too, takes in all."""
    logs = ("users_fr.csv", "explicit_ratings_fr.csv")
    members, watches = (sample(DATA / "mars" / name, tmp_path / "data" / "mars" / name) for name in logs)
    real = run(FROM_LOGS_TO_LISTS, tmp_path / "data", tmp_path, kernel)
    assert real.outputs()["files"][0]["data"]["text/plain"] == "'MARS-FR'"
    table = real.outputs()["ingest"][0]["data"]["text/html"]
    assert str(members) in table
    assert str(watches) in table
    assert len(real.texts("image/svg+xml")) == 7
    assert [output for outputs in real.outputs().values() for output in outputs if "data" not in output] == []
