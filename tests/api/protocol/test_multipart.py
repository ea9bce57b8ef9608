"""Bodies of several parts, read and written."""

from hypothesis import given
from hypothesis import strategies as st

from api.protocol.multipart import Part, read_parts, write_parts

PRINTED = st.characters(min_codepoint=ord("!"), max_codepoint=ord("~"))
PARTS = st.lists(
    st.builds(
        Part,
        st.dictionaries(st.text("abcxyz", min_size=1, max_size=9), st.text(PRINTED, max_size=20)),
        st.binary(),
    ),
    max_size=5,
)


@given(PARTS)
def test_what_is_written_is_read_back(parts: list[Part]) -> None:
    assert read_parts(*write_parts(parts)) == parts


def test_what_stands_before_the_first_and_after_the_last_line_of_the_boundary_is_no_part() -> None:
    body = b"preamble\r\n--a b  \r\n\r\none\r\n--a b\t\r\nX: y\r\n\r\n\r\n--a b--\r\nepilogue\r\n--a b\r\n\r\nno"
    assert read_parts(body, 'Multipart/Mixed; charset=x; Boundary="a b"') == [Part({}, b"one"), Part({"x": "y"}, b"")]
