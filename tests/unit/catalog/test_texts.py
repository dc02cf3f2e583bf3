"""What people write: any text becomes one safe line, and limits are told in a sentence."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.errors import BadInput
from kinema.model.catalog import TitleDetails
from kinema.services.catalog.texts import clean, one_line


@given(st.text())
def test_any_text_becomes_one_line(text):
    line = one_line(text)
    assert line == line.strip()
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in line)
    assert "  " not in line
    assert one_line(line) == line
    line.encode()


def test_quotes_newlines_and_emoji_survive_as_text():
    details = clean(TitleDetails(title='  "Don\'t"\n<Look>\t\x00Up\u2028 \U0001f3ac & Down '))
    assert details.title == '"Don\'t" <Look> Up \U0001f3ac & Down'
    assert details.shelf == "New"


@pytest.mark.parametrize(
    ("details", "part"),
    [
        (TitleDetails(title=" \n "), "title is empty"),
        (TitleDetails(title="x" * 301), "title has 301 characters"),
        (TitleDetails(title="x", synopsis="y" * 4001), "synopsis has 4001"),
        (TitleDetails(title="x", shelf="y" * 101), "shelf has 101"),
        (TitleDetails(title="x", genres=("y" * 51,)), "genre has 51"),
        (TitleDetails(title="x", genres=tuple(str(number) for number in range(21))), "21 genres"),
        (TitleDetails(title="x", year=1492), "year 1492"),
    ],
)
def test_what_is_too_much_is_named(details, part):
    with pytest.raises(BadInput, match=part):
        clean(details)


def test_three_hundred_characters_are_a_title():
    assert len(clean(TitleDetails(title="\U0001f3ac" * 300)).title) == 300
