"""Items and members as the database holds them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine

from infra.catalog import organisations, records
from infra.catalog import store as catalog
from infra.db.engine import transaction
from infra.errors import NotFoundError, UnknownMemberError
from infra.events import unresolved
from infra.settings.settings import Settings
from jobs.ingest.ingest import ingest
from tests.conftest import Take
from tests.together import together


def test_items_come_back_typed_and_in_the_order_of_their_ids(take: Take, engine: Engine) -> None:
    take(
        "items",
        "item_id,title,duration_seconds,published_at,hidden,topics\n"
        "b,Knots,90.5,2026-01-01T08:30:00.000001Z,true,safety; policy;;safety\n"
        "a,,,,,\n",
    )
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        items = catalog.read(session, key, "items")
        assert catalog.count(session, key, "items") == 2
    assert list(items.index) == ["a", "b"]
    kinds = {name: str(kind) for name, kind in items.dtypes.items()}
    assert (kinds["title"], kinds["duration_seconds"], kinds["hidden"]) == ("str", "float64", "boolean")
    assert kinds["published_at"] == "datetime64[us, UTC]"
    moment = datetime(2026, 1, 1, 8, 30, 0, 1, tzinfo=UTC)
    columns = ["title", "duration_seconds", "published_at", "hidden", "topics"]
    assert items.loc["b", columns].tolist() == ["Knots", 90.5, moment, True, "safety;policy"]
    assert items.loc["a"].isna().all()


def test_an_organisation_without_members_has_a_frame_without_rows(take: Take, engine: Engine) -> None:
    take("items", "item_id\na\n")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        members = catalog.read(session, key, "members")
        texts = catalog.read(session, key, "items", without=("text", "summary"))
    assert len(members) == 0
    assert {"role", "industry", "joined_on", "personalised"} <= set(members)
    assert str(members["joined_on"].dtype) == "datetime64[us, UTC]"
    assert not {"text", "summary"} & set(texts)


def test_columns_that_a_file_lacks_keep_what_is_stored(take: Take, engine: Engine) -> None:
    take("members", "member_id,role,industry,region\nm1,83,54,North\nm2,41,60,South\n")
    take("members", "member_id,role\nm1,41\nm3,9\n")
    take("members", "industry,member_id,nickname\n,m2,Bo\n")
    with transaction(engine) as session:
        members = catalog.read(session, organisations.key_of(session, "default"), "members")
    profiles = members[["role", "industry", "region"]].astype(object).where(members.notna(), None)
    assert profiles.to_dict("index") == {
        "m1": {"role": "41", "industry": "54", "region": "North"},
        "m2": {"role": "41", "industry": None, "region": "South"},
        "m3": {"role": "9", "industry": None, "region": None},
    }


@together("member_id", ["m2", "M1", "", "m1\x00", "会员"])
def test_a_member_that_is_not_there_is_an_error_that_names_it(take: Take, engine: Engine, member_id: str) -> None:
    take("members", "member_id\nm1\n")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        assert catalog.member(session, key, "m1")["member_id"] == "m1"
        with pytest.raises(UnknownMemberError) as caught:
            catalog.member(session, key, member_id)
    assert repr(member_id) in str(caught.value)


@pytest.mark.parametrize("item_id", ["v2", "v1 ", "v\x001"])
def test_an_item_that_is_not_there_is_an_error_that_names_it(take: Take, engine: Engine, item_id: str) -> None:
    take("items", "item_id\nv1\n")
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        catalog.check_item(session, key, "v1")
        with pytest.raises(NotFoundError) as caught:
            catalog.check_item(session, key, item_id)
    assert repr(item_id) in str(caught.value)


def test_the_ids_known_are_those_of_the_organisation(take: Take, engine: Engine) -> None:
    take("items", "item_id\nv1\n")
    take("members", "member_id\nm1\nm2\n")
    take("members", "member_id\nm3\n", organisation="bakers")
    with transaction(engine) as session:
        existing_ids = catalog.existing_ids(session, organisations.key_of(session, "default"))
    assert {name: sorted(ids) for name, ids in existing_ids.items()} == {"item_id": ["v1"], "member_id": ["m1", "m2"]}
    assert all(isinstance(ids, pd.Index) for ids in existing_ids.values())


@pytest.mark.parametrize("kind", ["items", "members"])
def test_what_changed_since_a_moment_is_paged_by_id_whatever_wrote_it(
    engine: Engine, settings: Settings, now: datetime, tmp_path: Path, kind: str
) -> None:
    column, name = f"{kind[:-1]}_id", {"items": "title", "members": "region"}[kind]
    moments = [now + timedelta(hours=hour) for hour in range(4)]
    path = tmp_path / "file.csv"
    for moment, lines in zip(moments, ("a,x\nb,x\nc,x\n", "a,x\nb,y\nc,\n", "c,\n"), strict=False):
        path.write_text(f"{column},{name}\n{lines}")
        ingest(engine, settings, path, kind, now=moment)
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        records.write(session, key, kind, {column: "a", name: "z"}, now=moments[2])
        records.write(session, key, kind, {column: "a", name: "z"}, now=moments[3])
        unresolved.create(session, key, {column: ["b", "d"]}, now=moments[3])

        def changed(since: datetime | None, **page: Any) -> str:
            rows = records.page(session, key, kind, updated_since=since, **page)
            return "".join(row[column] for row in rows)

        assert [changed(moment) for moment in (None, *moments)] == ["abcd", "abcd", "abcd", "ad", "d"]
        assert (changed(moments[1], limit=2), changed(moments[1], after="b", limit=2)) == ("ab", "cd")
