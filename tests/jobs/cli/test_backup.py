"""The commands backup and restore, on a database with a night."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ON_SQLITE

Run = Callable[..., Any]


@pytest.mark.usefixtures("served")
@ON_SQLITE
def test_a_restored_database_shows_the_same_lists_and_forgets_who_was_erased(
    xuelu: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> dict[str, str]:
        return {member: xuelu("show", member, "--json").out for member in ("c1", "d1", "new-driver")}

    file, before = tmp_path / "backup.zip", shown()
    assert xuelu("backup", file, "--json").json["bytes"] == file.stat().st_size
    assert "choose a name that is free" in xuelu("backup", file).complaint
    assert xuelu("erase", "c2", "--yes").status == 0
    assert "has tables" in xuelu("restore", file).complaint
    monkeypatch.setenv("XUELU_DATABASE_URL", f"sqlite:///{tmp_path}/restored.db")
    restored = xuelu("restore", file)
    assert restored.status == 0
    assert restored.out.splitlines()[-1].split() == ["erased", "1"]
    assert shown() == before
    assert "no member 'c2'" in xuelu("show", "c2").complaint
    assert xuelu("audit", "verify").status == 0
