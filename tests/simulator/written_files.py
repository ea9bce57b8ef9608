"""Files of a simulation read back as texts."""

import gzip
import io
from pathlib import Path

import pandas as pd


def lines_of(path: Path) -> list[bytes]:
    """Return the lines of a file, unpacked."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()


def good_rows(folder: Path, name: str) -> pd.DataFrame:
    """Return a file without its bad lines and duplicates."""
    expected = pd.read_csv(folder / "expected_rejects.csv")
    bad = set(expected.loc[expected["file"] == name, "line"])
    good = [line for number, line in enumerate(lines_of(folder / name), 1) if number not in bad]
    return pd.read_csv(io.BytesIO(b"\n".join(good)), dtype=str, keep_default_na=False).drop_duplicates()


def instants(texts: pd.Series) -> pd.Series:
    """Return moments as times, missing where there is none."""
    return pd.to_datetime(texts.where(texts != ""), utc=True, format="ISO8601")
