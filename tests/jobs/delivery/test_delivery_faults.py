"""Delivery under faults: the bounded version of the suite whose figures are in docs/reliability.md."""

import json
import subprocess
import sys

from tests.limits import HANG_SECONDS
from tests.test_house import ROOT

MEMBERS, WORKERS, KILLS = 60, 3, 6


def test_killed_workers_cut_connections_and_moody_receivers_lose_and_double_nothing(
    postgresql_url: str, empty: None
) -> None:
    del empty
    sizes = ["--members", str(MEMBERS), "--workers", str(WORKERS), "--kills", str(KILLS)]
    command = [sys.executable, "-m", "benchmarks.delivery_faults", "--database-url", postgresql_url, *sizes]

    ran = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True, timeout=HANG_SECONDS)

    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout)
    assert figures["pushes"] == MEMBERS
    assert (figures["lost"], figures["doubled"]) == (0, 0)
    assert figures["statuses"] == {"delivered": MEMBERS}
    assert sum(count for fault, count in figures["faults"].items() if fault.startswith("killed")) >= KILLS
    assert {"receiver never", "receiver late", "receiver hangs up", "receiver busy"} <= set(figures["faults"])
    assert figures["attempts"] >= MEMBERS + figures["attempts_without_outcome"]
