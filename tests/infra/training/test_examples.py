"""Files of training examples: whole or as good as missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from infra.training import examples


def test_stored_arrays_come_back_and_no_arrays_mark_a_night_without_any(tmp_path: Path) -> None:
    examples.store(tmp_path, "night", {"row": np.arange(3)})
    examples.store(tmp_path, "quiet", {})
    columns = examples.read(tmp_path, "night")
    assert columns is not None
    assert columns["row"].tolist() == [0, 1, 2]
    assert examples.read(tmp_path, "quiet") == {}
    assert examples.read(tmp_path, "missing") is None


def test_a_file_with_any_damage_counts_as_missing_or_gives_what_was_stored(tmp_path: Path) -> None:
    examples.store(tmp_path, "night", {"row": np.arange(40)})
    path = tmp_path / f"night{examples.SUFFIX}"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        columns = examples.read(tmp_path, "night")
        assert columns is None or all(column.tolist() == list(range(40)) for column in columns.values())
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert examples.read(tmp_path, "night") is None


def test_a_folder_in_the_place_of_a_night_counts_as_missing_and_gives_way(tmp_path: Path) -> None:
    (tmp_path / f"night{examples.SUFFIX}" / "inner").mkdir(parents=True)
    assert examples.read(tmp_path, "night") is None

    examples.store(tmp_path, "night", {"row": np.arange(3)})

    assert examples.read(tmp_path, "night") is not None


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_what_is_no_archive_counts_as_missing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"night{examples.SUFFIX}").write_bytes(content)
    assert examples.read(tmp_path, "night") is None
    np.save(tmp_path / "array.npy", np.arange(3))
    (tmp_path / "array.npy").rename(tmp_path / f"night{examples.SUFFIX}")
    assert examples.read(tmp_path, "night") is None


def test_arrays_whose_folder_is_removed_while_they_are_written_are_not_kept(tmp_path: Path) -> None:
    folder = tmp_path / "examples"

    class Removing:
        """Values whose folder is gone once they are read."""

        def __array__(self, *_: object, **__: object) -> np.ndarray:
            shutil.rmtree(folder)
            return np.arange(3)

    examples.store(folder, "night", {"weights": Removing()})

    assert examples.read(folder, "night") is None
    assert not folder.exists()
