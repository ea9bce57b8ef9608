"""Imports, their rejects and the data-quality report over HTTP."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from api.protocol.pagination import cursor_of, position_of
from infra.db.access_tables import audit_entries
from infra.db.engine import transaction
from infra.settings.settings import Settings
from tests.api.conftest import MakeKey
from tests.conftest import Take


def imports(client: TestClient) -> list[dict[str, Any]]:
    """Return the first page of imports."""
    rows: list[dict[str, Any]] = client.get("/v1/imports").json()["imports"]
    return rows


def test_imports_are_listed_with_their_counts(bad_file: Path, client: TestClient) -> None:
    [row] = imports(client)
    del row["finished_at"]
    import_id = row.pop("import_id")
    counts = {"rows": 3, "stored": 1, "duplicates": 0, "rejected": 2}
    [(reason, lines)] = row.pop("reasons").items()
    assert row == {"kind": "items", "file_name": bad_file.name, "status": "imported", **counts}
    assert (lines, reason.startswith("format: ")) == (2, True)
    assert client.get(f"/v1/imports/{import_id}").json()["file_name"] == bad_file.name
    filters = ("kind=items", "kind=events", "status=imported", "status=refused")
    assert [len(client.get(f"/v1/imports?{query}").json()["imports"]) for query in filters] == [1, 0, 1, 0]


def test_pages_of_imports_hold_each_once(bad_file: Path, take: Take, client: TestClient) -> None:
    for _ in range(2):
        take("items", bad_file, max_reject_share=1.0)
    first = client.get("/v1/imports?limit=2")
    second = client.get(first.links["next"]["url"])
    ids = [row["import_id"] for answer in (first, second) for row in answer.json()["imports"]]
    assert (len(set(ids)), len(ids), "next" in second.links) == (3, 3, False)
    cursor = parse_qs(urlsplit(first.links["next"]["url"]).query)["cursor"][0]
    assert position_of(cursor) == ids[1], "a key would count the imports of other organisations"
    assert client.get(f"/v1/imports?cursor={cursor_of('im_none')}").status_code == 400


@pytest.mark.usefixtures("bad_file")
def test_rejects_are_downloaded_as_csv_safe_in_spreadsheets(
    client: TestClient, engine: Engine, settings: Settings
) -> None:
    [row] = imports(client)
    answer = client.get(f"/v1/imports/{row['import_id']}/rejects?format=csv")
    same = {"If-None-Match": answer.headers["etag"]}
    assert client.get(str(answer.url), headers=same).status_code == 304
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment; filename*=utf-8")
    header, line, _ = answer.text.splitlines()
    assert header == "line,field,value,reason"
    assert line.startswith("3,format,'=1+1,")
    [file] = settings.rejects_folder.rglob("*.csv")
    assert [path.stat().st_mode & 0o077 for path in (file, file.parent)] == [0, 0]
    with transaction(engine) as session:
        assert session.scalars(select(audit_entries.c.action)).all()[-1:] == ["imports.read_rejects"]


def test_rejects_that_are_gone_are_not_found(
    bad_file: Path, take: Take, client: TestClient, settings: Settings
) -> None:
    [old] = imports(client)
    take("items", bad_file, max_reject_share=1.0)
    replaced = client.get(f"/v1/imports/{old['import_id']}/rejects")
    assert (replaced.status_code, "replaced" in replaced.json()["detail"]) == (404, True)
    newest = imports(client)[0]["import_id"]
    [file] = settings.rejects_folder.rglob("*.csv")
    file.unlink()
    missing = client.get(f"/v1/imports/{newest}/rejects")
    assert (missing.status_code, "no file of this machine" in missing.json()["detail"]) == (404, True)
    assert str(settings.rejects_folder) not in missing.text
    bad_file.write_text("item_id\nc\n", encoding="utf-8")
    take("items", bad_file)
    sound = client.get(f"/v1/imports/{imports(client)[0]['import_id']}/rejects")
    assert "had no rejects" in sound.json()["detail"]
    assert client.get("/v1/imports/im_none/rejects").status_code == 404
    assert client.get("/v1/imports/%00").status_code == 404


def test_pages_of_rejects_hold_values_as_they_were(take: Take, tmp_path: Path, client: TestClient) -> None:
    formats = ["=1+1", "'=1+1", "-2", "目录"]
    path = tmp_path / "odd.csv"
    path.write_text("item_id,format\n" + "".join(f"i{row},{value}\n" for row, value in enumerate(formats)), "utf-8")
    take("items", path, max_reject_share=1.0)
    [row] = imports(client)
    first = client.get(f"/v1/imports/{row['import_id']}/rejects?limit=3")
    second = client.get(first.links["next"]["url"])
    rows = [reject for answer in (first, second) for reject in answer.json()["rejects"]]
    assert [(reject["line"], reject["value"]) for reject in rows] == list(zip(range(2, 6), formats, strict=True))
    assert "next" not in second.links


@pytest.mark.usefixtures("bad_file")
def test_a_file_name_that_leads_out_of_the_folder_is_not_read(
    engine: Engine, client: TestClient, settings: Settings
) -> None:
    [row] = imports(client)
    (settings.rejects_folder / "x.rejects.csv").write_text("secret", encoding="utf-8")
    with transaction(engine) as session:
        session.connection().exec_driver_sql("UPDATE imports SET file_name = '../x'")
    answer = client.get(f"/v1/imports/{row['import_id']}/rejects")
    assert (answer.status_code, "secret" in answer.text) == (404, False)


@pytest.mark.usefixtures("bad_file")
def test_the_report_is_that_of_the_doctor(client: TestClient) -> None:
    report = client.get("/v1/data-quality").json()
    assert report["figures"]["items"] == 1
    assert report["figures"]["rejects"] == 2
    assert not report["sound"]
    assert report["findings"][0] == "0 events, at least 1 are sound: ingest study logs"


@pytest.mark.usefixtures("bad_file")
def test_other_organisations_and_other_keys_see_nothing(client: TestClient, make_key: MakeKey) -> None:
    import_id = imports(client)[0]["import_id"]
    client.headers["Authorization"] = f"Bearer {make_key(organisation='bakers')}"
    assert imports(client) == []
    assert client.get(f"/v1/imports/{import_id}").status_code == 404
    assert client.get(f"/v1/imports/{import_id}/rejects").status_code == 404
    assert client.get("/v1/data-quality").json()["figures"]["items"] == 0
    client.headers["Authorization"] = f"Bearer {make_key('analytics:read')}"
    for address in ("/v1/imports", f"/v1/imports/{import_id}", f"/v1/imports/{import_id}/rejects", "/v1/data-quality"):
        assert client.get(address).status_code == 403
