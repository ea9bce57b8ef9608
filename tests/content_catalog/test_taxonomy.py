"""Taxonomies: the two shipped ones, and an organisation's own."""

import gzip
from itertools import pairwise
from pathlib import Path
from string import ascii_uppercase

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from content_catalog.errors import TaxonomyError
from content_catalog.taxonomy import SHIPPED, Taxonomy, shipped
from content_catalog.taxonomy_file import read_taxonomy

ROLES = shipped("isco08")
INDUSTRIES = shipped("gbt4754_2017")

ISCO_SUB_MAJOR = {0: 3, 1: 4, 2: 6, 3: 5, 4: 4, 5: 4, 6: 3, 7: 5, 8: 3, 9: 6}
GB_LAST_DIVISION = dict(
    zip(ascii_uppercase, [5, 12, 43, 46, 50, 52, 60, 62, 65, 69, 70, 72, 75, 79, 82, 83, 85, 90, 96, 97], strict=False)
)
# GB/T 4754-2017 divisions whose ISIC Rev.4 section is not the one beside their GB section.
OTHER_ISIC = {
    "42": "E",
    "46": "E",
    "78": "N",
    "79": "O",
    "86": "J",
    "87": "J",
    "91": "S",
    "93": "S",
    "95": "S",
    "96": "S",
}
# Letters of several widths, cases and scripts, digits, signs, and some that fold or normalise to more than one.
LETTERS = "aAzZ0189 .,;-_&'\"\t\x00ßéİﬁ快递骑手业服务\uff29\uff16\U0001f6f5"


def own_file(tmp_path: Path, text: str, name: str = "own.csv") -> Path:
    """Return the path of a new file with this text."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@st.composite
def forests(draw: st.DrawFn) -> Taxonomy:
    """Taxonomies of any shape; children may stand before their parents."""
    codes = draw(st.lists(st.text("AB01.", min_size=1, max_size=4), min_size=1, max_size=12, unique=True))
    parents = [draw(st.sampled_from(["", *codes[:place]])) for place in range(len(codes))]
    names = draw(st.lists(st.text(LETTERS, max_size=8), min_size=len(codes), max_size=len(codes)))
    table = pd.DataFrame({"parent": parents, "name_en": names, "name_zh": ""}, index=pd.Index(codes, name="code"))
    return Taxonomy("forest", table.loc[draw(st.permutations(codes))])


TAXONOMIES = st.one_of(st.sampled_from([ROLES, INDUSTRIES]), forests())


def test_roles_are_the_ten_major_and_forty_three_sub_major_groups_of_isco_08() -> None:
    roots = ROLES.table[ROLES.table["parent"] == ""]
    assert (len(roots), len(ROLES)) == (10, 10 + 43)
    expected = {str(major): [f"{major}{n}" for n in range(1, 1 + count)] for major, count in ISCO_SUB_MAJOR.items()}
    assert {root: list(ROLES.table.index[ROLES.table["parent"] == root]) for root in roots.index} == expected


def test_industries_are_the_twenty_sections_and_ninety_seven_divisions_of_gbt_4754_2017() -> None:
    roots = INDUSTRIES.table[INDUSTRIES.table["parent"] == ""]
    assert "".join(roots.index) == "ABCDEFGHIJKLMNOPQRST"
    assert len(INDUSTRIES) == 20 + 97
    first = 1
    for section, last in GB_LAST_DIVISION.items():
        divisions = list(INDUSTRIES.table.index[INDUSTRIES.table["parent"] == section])
        assert divisions == [f"{number:02d}" for number in range(first, last + 1)]
        first = last + 1


def test_every_industry_has_an_isic_section_and_a_division_its_own_where_it_differs() -> None:
    isic = INDUSTRIES.table["isic"]
    assert isic.isin(list(ascii_uppercase[:21])).all()
    divisions = INDUSTRIES.table[INDUSTRIES.table["parent"] != ""]
    differing = divisions[divisions["isic"] != divisions["parent"].map(isic)]
    assert differing["isic"].to_dict() == OTHER_ISIC


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_code_has_a_name_in_both_languages_and_no_two_siblings_share_one(name: str) -> None:
    table = shipped(name).table
    for column in ("name_en", "name_zh"):
        assert (table[column].str.len() > 0).all()
        assert (table[column] == table[column].str.strip()).all()
        assert not table.duplicated(["parent", column]).any()
    assert table["name_en"].map(str.isascii).all()
    assert table["name_zh"].str.match(r"[\u4e00-\u9fff、\uff08\uff09]+$").all()


def test_a_shipped_taxonomy_is_read_once() -> None:
    assert shipped("isco08") is ROLES


def test_an_unknown_shipped_taxonomy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(TaxonomyError, match="no taxonomy 'isco88' is shipped; use isco08 or gbt4754_2017"):
        shipped("isco88")


@given(TAXONOMIES)
def test_every_path_starts_at_a_root_and_ends_with_its_code(taxonomy: Taxonomy) -> None:
    parents = taxonomy.table["parent"]
    for code in taxonomy.table.index:
        path = taxonomy.path(code)
        assert parents[path[0]] == ""
        assert path[-1] == code
        assert all(parents[below] == above for above, below in pairwise(path))


@given(TAXONOMIES, st.data())
def test_within_is_reflexive_and_transitive_along_a_path(taxonomy: Taxonomy, data: st.DataObject) -> None:
    codes = st.sampled_from(list(taxonomy.table.index))
    code, other, third = data.draw(codes), data.draw(codes), data.draw(codes)
    assert taxonomy.within(code, code)
    assert all(taxonomy.within(code, above) for above in taxonomy.path(code))
    assert not (taxonomy.within(code, other) and taxonomy.within(other, code) and code != other)
    assert taxonomy.within(code, third) or not (taxonomy.within(code, other) and taxonomy.within(other, third))


@given(TAXONOMIES, st.text(LETTERS, max_size=20), st.integers(-1, 5))
def test_the_nearest_codes_of_any_text_are_known_distinct_and_the_same_each_time(
    taxonomy: Taxonomy, text: str, n: int
) -> None:
    near = taxonomy.nearest(text, n)
    assert all(code in taxonomy for code in near)
    assert len(set(near)) == len(near) <= max(n, 0)
    assert near or n < 1
    assert near == taxonomy.nearest(text, n)


@pytest.mark.parametrize("taxonomy", [ROLES, INDUSTRIES])
def test_a_known_code_or_official_name_is_nearest_to_itself(taxonomy: Taxonomy) -> None:
    for code in taxonomy.table.index:
        assert taxonomy.nearest(code, 1) == [code]
        chinese, english = taxonomy.name_of(code, "zh"), taxonomy.name_of(code, "en")
        for name in (chinese, english, english.upper()):
            nearest_code = taxonomy.nearest(name, 1)[0]
            assert name.lower() in (taxonomy.name_of(nearest_code, "en").lower(), taxonomy.name_of(nearest_code, "zh"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("couriers", "96"),
        ("快递", "96"),
        ("外卖骑手", "83"),
        ("Software", "25"),
        ("accountnat", "24"),
        ("Teachers", "23"),
        ("8322", "83"),
        ("ISCO-2512", "25"),
        ("41.0", "41"),
        ("99", "9"),
    ],
)
def test_a_text_that_is_no_role_finds_the_role_that_was_meant(text: str, code: str) -> None:
    assert text not in ROLES
    assert ROLES.nearest(text)[0] == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("couriers", "60"),
        ("快递", "60"),
        ("Software", "65"),
        ("软件", "65"),
        ("银行业", "66"),
        ("Construction industry", "E"),
        ("I6510", "65"),
        ("Ｊ６６", "66"),
        ("1", "01"),
        ("39 计算机", "39"),
        ("c", "C"),
    ],
)
def test_a_text_that_is_no_industry_finds_the_industry_that_was_meant(text: str, code: str) -> None:
    assert text not in INDUSTRIES
    assert INDUSTRIES.nearest(text)[0] == code


def test_codes_far_less_like_a_text_than_the_best_are_not_named() -> None:
    assert INDUSTRIES.nearest("快递", 10) == ["60"]


def test_an_unknown_code_is_refused_with_its_nearest_known_codes() -> None:
    with pytest.raises(TaxonomyError, match=r"'8322' is no code of isco08; .* are: 83 Drivers .*, 82 Assemblers$"):
        ROLES.path("8322")
    with pytest.raises(TaxonomyError, match="'ZZ' is no code of isco08"):
        ROLES.within("96", "ZZ")
    with pytest.raises(TaxonomyError, match="'ZZ' is no code of isco08"):
        ROLES.name_of("ZZ", "en")


def test_the_message_on_an_unknown_code_stays_short_however_long_the_code() -> None:
    with pytest.raises(TaxonomyError) as caught:
        ROLES.path("x" * 1_000_000)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("language", ["zh", "zh-CN", "zh_CN", "ZH-hans"])
def test_chinese_names_serve_every_kind_of_chinese(language: str) -> None:
    assert INDUSTRIES.name_of("60", language) == "邮政业"


@pytest.mark.parametrize("language", ["en", "en-GB", "fr", ""])
def test_english_names_serve_every_other_language(language: str) -> None:
    assert INDUSTRIES.name_of("60", language) == "Post"


def test_a_missing_name_falls_back_to_the_other_one_then_to_the_code(tmp_path: Path) -> None:
    own = read_taxonomy(own_file(tmp_path, "code,parent,name_en,name_zh\na,,Rider,\nb,,,骑手\nc,,,\n"))
    assert [own.name_of(code, "zh-CN") for code in "abc"] == ["Rider", "骑手", "c"]
    assert [own.name_of(code, "en") for code in "abc"] == ["Rider", "骑手", "c"]


def test_an_own_taxonomy_keeps_its_columns_its_order_and_its_leading_zeros(tmp_path: Path) -> None:
    text = "depot,code,parent,name_zh\nnorth,011,01,夜班骑手\nsouth, 01 ,,骑手\n"
    own = read_taxonomy(own_file(tmp_path, text, "riders.csv"))
    assert (own.name, len(own), "1" in own, "01" in own) == ("riders", 2, False, True)
    assert list(own.table.columns) == ["parent", "name_en", "name_zh", "depot"]
    assert own.path("011") == ("01", "011")
    assert own.name_of("011", "en") == "夜班骑手"
    assert own.table["depot"].to_list() == ["north", "south"]


def test_an_own_taxonomy_may_be_gzipped_and_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "own.csv.gz"
    path.write_bytes(gzip.compress("\ufeffcode,parent,name_en\nx,,X\n".encode()))
    own = read_taxonomy(path)
    assert (own.name, own.path("x")) == ("own", ("x",))


def test_an_organisations_own_other_words_find_its_codes(tmp_path: Path) -> None:
    own = read_taxonomy(own_file(tmp_path, "code,parent,name_en,also\nR1,,Last mile,骑手;rider\nR2,,Depot,\n"))
    assert own.nearest("riders", 1) == ["R1"]
    assert own.nearest("R22", 1) == ["R2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "own.csv is empty"),
        ("code,parent,name_en\n", "own.csv holds no codes"),
        ("code,name_en\na,A\n", "own.csv: the header lacks the column parent; it names code, name_en"),
        ("parent,name_en\n,A\n", "own.csv: the header lacks the column code"),
        ("code,parent\na,\n", "own.csv: the header lacks the column name_en or name_zh"),
        ("code,parent,name_en\na,,A\nb,,B\na,,C\n", "own.csv, line 4: the code 'a' stands already on line 2"),
        ("code,parent,name_en\na,,A\n ,,B\n", "own.csv, line 3: the code '' is empty"),
        ("code,parent,name_en\n\na;b,,A\n", "own.csv, line 3: the code 'a;b' holds ';'"),
        ("code,parent,name_en\na；b,,A\n", "own.csv, line 2: the code 'a；b' holds '；'"),
        ("code,parent,name_en\n..,,A\n", "own.csv, line 2: the code '..' is dots alone"),
        ("code,parent,name_en\na,,A\nb,z,B\n", "own.csv, line 3: the parent 'z' of 'b' is no code"),
        (
            "code,parent,name_en\nr,,R\na,c,A\nb,a,B\nc,b,C\n",
            "own.csv, line 3: the parents form a cycle, a > b > c > a",
        ),
        ("code,parent,name_en\nr,,R\na,a,A\n", "own.csv, line 3: the parents form a cycle, a > a"),
        ("code,parent,name_en\na,,A,more\n", "own.csv, line 2: 3 fields expected, 4 found"),
        (
            "code,parent,name_en\n1.2E+17,,A\n",
            "own.csv, line 2: the code '1.2E+17' is a number that may have lost digits",
        ),
        ('{"code": ["a"], "parent": "", "name_en": "A"}', "own.csv, line 1: the code 'a' is a list or an object"),
        (
            '{"code": "a", "parent": "", "name_en": {"x": 1}}',
            'line 1: the name_en \'{"x":"1"}\' is a list or an object',
        ),
    ],
)
def test_a_broken_file_is_refused_with_its_fault_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TaxonomyError) as caught:
        read_taxonomy(own_file(tmp_path, text))
    assert message in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match="cannot be read"):
        read_taxonomy(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({}, "holds no codes"),
        ({"a": ("", "A"), "b": ("z", "B")}, "table: the parent 'z' of 'b' is no code"),
        ({"a": ("b", "A"), "b": ("a", "B")}, "table: the parents form a cycle"),
        ({"a": ("", None)}, "a parent or a name is missing"),
        ({1: ("", "A")}, "a code is not text"),
    ],
)
def test_a_table_that_is_no_taxonomy_is_refused(rows: dict[object, tuple[str, str | None]], message: str) -> None:
    parents, names = [row[0] for row in rows.values()], [row[1] for row in rows.values()]
    table = pd.DataFrame({"parent": parents, "name_en": names, "name_zh": ""}, index=pd.Index(list(rows)))
    with pytest.raises(TaxonomyError, match=message):
        Taxonomy("table", table)


def test_a_table_with_a_repeated_code_or_without_a_column_is_refused() -> None:
    table = pd.DataFrame({"parent": ["", ""], "name_en": "A", "name_zh": ""}, index=["a", "a"])
    with pytest.raises(TaxonomyError, match="the code 'a' stands twice"):
        Taxonomy("table", table)
    with pytest.raises(TaxonomyError, match="lacks the column 'name_zh'"):
        Taxonomy("table", table[["parent", "name_en"]])
