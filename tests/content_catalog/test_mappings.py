"""The shipped mappings: MARS and 365 Data Science files become canonical rows, whatever language they speak."""

import os
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest

from content_catalog.io.mapping import load_mapping, shipped_mappings
from content_catalog.io.readers import read_chunks
from content_catalog.io.validation import check_rows
from content_catalog.schema import ITEMS
from content_catalog.taxonomy import shipped
from features.events import check_events
from features.schema import EVENTS, MEMBERS

SCHEMAS = {"events": EVENTS, "members": MEMBERS, "items": ITEMS}
HEAD_ROWS = 300
PROJECT = Path(__file__).parents[2]
# Files in the form of the real ones, and what their lines become; the values are made up.
EXTRACTS = {
    "mars-watch": (
        "events", "explicit_ratings_fr.csv",
        ("user_id,item_id,watch_percentage,created_at,rating\n"
         "7,31,100,2019-07-01 23:30:00,10\n7,32,45,2019-01-02 08:00:00,4\n"),
        [
            {"member_id": "7", "item_id": "31", "occurred_at": "2019-07-01T23:30Z", "verb": "completed",
             "progress": 1.0},
            {"member_id": "7", "item_id": "32", "occurred_at": "2019-01-02T08:00Z", "verb": "progressed",
             "progress": 0.45},
        ],
    ),
    "mars-views": (
        "events", "implicit_ratings_en.csv",
        "item_id,user_id,created_at\n31,7,2017-03-26 02:30:00\n",
        [{"member_id": "7", "item_id": "31", "verb": "viewed", "occurred_at": "2017-03-26T02:30Z"}],
    ),
    "mars-members": (
        "members", "users_fr.csv",
        'user_id,job\n7,N/A\n8,juridique\n9,"finance, risk and insurance"\n',
        [{"member_id": "7"}, {"member_id": "8", "role": "26"}, {"member_id": "9", "role": "24"}],
    ),
    "mars-items": (
        "items", "items_en.csv",
        ("item_id,language,name,nb_views,description,created_at,Difficulty,Job,Software,Theme,duration,type\n"
        "31,en,Name cells,5.0,\"Select cells.\nName them.\",2018,Beginner,\"['Accounting', 'Salesman', 'Assistant']\","
        "\"['Excel']\",\"['Produce', 'Share']\",95.0,tutorial\n"
        "32,en,Call,N/A,,2021,N/A,[],[],[],61.0,webcast\n"),
        [
            {
                "item_id": "31", "title": "Name cells", "text": "Select cells.\nName them.", "language": "en",
                "format": "short_video", "duration_seconds": 95.0, "difficulty": "beginner",
                "topics": "Excel;Produce;Share", "target_roles": "33;41", "published_at": "2018-01-01T00:00Z",
                "provider": "Mandarine Academy",
            },
            {
                "item_id": "32", "title": "Call", "language": "en", "format": "video", "duration_seconds": 61.0,
                "published_at": "2021-01-01T00:00Z", "provider": "Mandarine Academy",
            },
        ],
    ),
    "ds365-learning": (
        "events", "365_student_learning.csv",
        "student_id,course_id,minutes_watched,date_watched\n7,31,0.3,2022-02-03\n",
        [{"member_id": "7", "item_id": "course-31", "verb": "progressed", "occurred_at": "2022-02-03T00:00Z",
          "duration_seconds": 18.0}],
    ),
    "ds365-quizzes": (
        "events", "365_student_quizzes.csv",
        "student_id,quiz_id,question_id,answer_id\n7,5,6,8\n",
        [{"event_id": "quiz-answer-7-5-6-8", "member_id": "7", "item_id": "quiz-5", "verb": "answered",
          "occurred_at": "2022-10-20T00:00Z"}],
    ),
    "ds365-exams": (
        "events", "365_student_exams.csv",
        "exam_attempt_id,student_id,exam_id,exam_result,exam_completion_time,date_exam_completed\n1,7,5,83,5.25,2022-02-03\n",
        [{"event_id": "exam-attempt-1", "member_id": "7", "item_id": "exam-5", "verb": "answered",
          "occurred_at": "2022-02-03T00:00Z", "duration_seconds": 315.0, "score": 0.83}],
    ),
    "ds365-members": (
        "members", "365_student_info.csv",
        "student_id,student_country,date_registered\n7,NA,2022-02-03\n8,FR,2022-02-04\n",
        [{"member_id": "7", "region": "NA", "joined_on": "2022-02-03T00:00Z"},
         {"member_id": "8", "region": "FR", "joined_on": "2022-02-04T00:00Z"}],
    ),
    "ds365-items": (
        "items", "365_course_info.csv",
        'course_id,course_title\n31,"Tables, and more"\n',
        [{"item_id": "course-31", "title": "Tables, and more", "language": "en", "format": "course",
          "provider": "365 Data Science"}],
    ),
}  # fmt: skip
# Each job in French and in English, as the two users files write it.
JOBS = {
    "direction générale": "general management",
    "recherche et développement": "research and development",
    "marketing": "marketing",
    "marketing produit & service": "product & service marketing",
    "ressources humaines": "human resources",
    "conseil": "consulting",
    "communication": "communication",
    "finance & risque et assurance": "finance, risk and insurance",
    "it": "it",
    "juridique": "legal",
    "commercial": "sales representative",
    "achats": "purchasing",
    "comptabilité": "accounting",
    "administratif": "administrative",
    "production & logistique": "production & logistics",
}


def real(name: str) -> Path:
    """Return the path of a real file, if it is there."""
    data = PROJECT / os.environ.get("XUELU_DATA", "../shared/data")
    path = data / ("ds365" if name.startswith("365") else "mars") / name
    if not path.exists():
        pytest.skip(f"no real logs at {data}: set XUELU_DATA to their folder")
    return path


def canonical(name: str, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the valid rows and the rejects of a shipped mapping; columns derived by us are left out."""
    kind = EXTRACTS[name][0]
    mapped = load_mapping(name, kind).apply(frame, SCHEMAS[kind])
    assert set(mapped.columns) <= set(SCHEMAS[kind].names)
    good, rejects = check_events(mapped) if kind == "events" else check_rows(mapped, SCHEMAS[kind])
    return good.drop(
        columns=[column for column in ("event_id", "date_only") if column in good and column not in mapped]
    ), rejects


def test_every_shipped_mapping_has_an_extract_here() -> None:
    assert shipped_mappings() == sorted(EXTRACTS)


@pytest.mark.parametrize("name", EXTRACTS)
def test_a_shipped_mapping_makes_canonical_rows_of_a_file_in_the_real_form(tmp_path: Path, name: str) -> None:
    _, file_name, text, expected = EXTRACTS[name]
    (tmp_path / file_name).write_text(text, encoding="utf-8")
    (chunk,) = read_chunks(tmp_path / file_name)
    good, rejects = canonical(name, chunk.frame)
    assert rejects.empty
    # Times ending in Z come out as instants of UTC: nothing was shifted.
    assert [
        {
            column: f"{value:%Y-%m-%dT%H:%MZ}" if isinstance(value, pd.Timestamp) else value
            for column, value in row.items()
        }
        for row in (row.dropna().to_dict() for _, row in good.iterrows())
    ] == expected
    times_of = good.select_dtypes("datetimetz").columns
    assert all(str(good[column].dt.tz) == "UTC" for column in times_of)


@pytest.mark.parametrize("name", EXTRACTS)
def test_the_head_of_the_real_file_has_the_form_of_the_extract_and_maps_without_rejects(name: str) -> None:
    _, file_name, text, _ = EXTRACTS[name]
    (chunk,) = islice(read_chunks(real(file_name), chunk_rows=HEAD_ROWS), 1)
    assert list(chunk.frame.columns) == text.split("\n")[0].split(",")
    good, rejects = canonical(name, chunk.frame)
    assert rejects.empty
    assert len(good) == len(chunk.frame) > 0


def test_french_and_english_labels_of_a_job_become_the_same_role() -> None:
    table = load_mapping("mars-members", "members").model_dump()["values"]["role"]
    assert {french: table[french] for french in JOBS} == {french: table[english] for french, english in JOBS.items()}
    assert set(table) == {*JOBS, *JOBS.values()}
    assert all(code in shipped("isco08") for code in table.values())


def test_every_job_label_of_the_real_files_becomes_a_role_that_isco_08_knows() -> None:
    labels: set[str] = set()
    for name in ("users_fr.csv", "users_en.csv"):
        labels |= {label for chunk in read_chunks(real(name)) for label in chunk.frame["job"].unique()}
    roles = canonical("mars-members", pd.DataFrame({"user_id": "7", "job": sorted(labels)}, dtype="str"))[0]["role"]
    assert labels == {"N/A", *JOBS, *JOBS.values()} & labels
    assert roles.isna().sum() == 1
    assert all(role in shipped("isco08") for role in roles.dropna())


def test_every_target_job_of_the_items_mapping_is_a_role_that_isco_08_knows() -> None:
    table = load_mapping("mars-items", "items").model_dump()["values"]["target_roles"]
    assert all(code in shipped("isco08") for code in table.values())
