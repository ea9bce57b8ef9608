"""The benchmark of products, at a small size: what it reports, and that its sides give the same lists."""

import json
import subprocess
import sys
from pathlib import Path

from tests.limits import HANG_SECONDS
from tests.test_house import ROOT


def test_all_sides_are_measured_and_our_lists_are_those_of_implicit(tmp_path: Path) -> None:
    size = ["--members", "300", "--items", "400", "--factors", "16", "--seen", "5", "--rounds", "1"]
    command = [sys.executable, "-m", "benchmarks.scoring", *size, "--json", str(tmp_path / "figures.json")]

    ran = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True, timeout=HANG_SECONDS)

    assert ran.returncode == 0, ran.stderr
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert json.loads(ran.stdout) == figures
    assert figures["vs_product"] > 0
    assert figures["vs_implicit"] > 0
    assert {name.split(",")[0] for name in figures["seconds"]} == {"ours", "product", "implicit"}
    assert figures["same_as_implicit"] > 0.99
    assert figures["memory_mib"] > 0
