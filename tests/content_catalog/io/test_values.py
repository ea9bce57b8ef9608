"""One set of white space for every reader and check."""

import sys

from content_catalog.io.values import WHITE_SPACE


def test_white_space_is_what_unicode_calls_so_and_three_characters_without_width() -> None:
    spaces = {letter for letter in map(chr, range(sys.maxunicode + 1)) if letter.isspace()}
    assert set(WHITE_SPACE) == spaces | {"\u200b", "\u2060", "\ufeff"}
