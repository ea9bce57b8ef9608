"""Artefacts are written whole or not at all, also where an erasure removes their folder meanwhile."""

import shutil
from pathlib import Path

from infra.runs import artefacts


class Removing:
    """An outcome whose folder is gone once it is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getstate__(self) -> dict[str, Path]:
        """Remove the folder."""
        shutil.rmtree(self.folder)
        return {"folder": self.folder}


def test_an_outcome_comes_back_by_its_digest_alone(tmp_path: Path) -> None:
    digest = artefacts.save(tmp_path / "run", "model", [1, 2])

    assert artefacts.load(tmp_path / "run", "model", digest) == [1, 2]
    assert artefacts.load(tmp_path / "run", "model", "0" * 64) is None
    assert artefacts.load(tmp_path / "run", "model", None) is None
    assert artefacts.load(tmp_path / "other", "model", digest) is None


def test_an_outcome_whose_folder_is_removed_while_it_is_written_is_not_kept(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    assert artefacts.save(folder, "model", Removing(folder)) is None
    assert not folder.exists()
    assert artefacts.save(folder, "model", [1, 2]) is not None


def test_a_folder_in_the_place_of_an_outcome_counts_as_missing_and_is_removed(tmp_path: Path) -> None:
    digest = artefacts.save(tmp_path, "model", [1])
    artefacts.path_of(tmp_path, "model").unlink()
    (artefacts.path_of(tmp_path, "model") / "inner").mkdir(parents=True)
    artefacts.save(tmp_path, "kept", [2])

    assert artefacts.load(tmp_path, "model", digest) is None
    assert artefacts.load(tmp_path, "model", artefacts.save(tmp_path, "model", [3])) == [3]
    artefacts.remove_all_but(tmp_path, "kept")
    assert list(tmp_path.iterdir()) == [artefacts.path_of(tmp_path, "kept")]
