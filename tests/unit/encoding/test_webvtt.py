"""WebVTT: whatever is read, what is written is plain, ordered and inside the film."""

from hypothesis import given
from hypothesis import strategies as st

from kinema.services.encoding.packaging.webvtt import Cue, parse, within, write

FROM_FFMPEG = """\ufeffWEBVTT - made by something
Kind: captions

STYLE
::cue { color: red }

NOTE a note --> with an arrow

intro
00:01.500 --> 00:03.000 line:10% align:start onclick:x
Hello <i>you</i> &amp; me
second line

1
01:00:00,250 --> 01:00:02,000
Late

00:05.000 --> 00:04.000
backwards

00:06.000 --> 00:07.000

00:00.000 --> 00:01.000
First
"""


def test_cues_are_found_whatever_stands_between_them():
    assert parse(FROM_FFMPEG) == (
        Cue(0, 1000, "First"),
        Cue(1500, 3000, "Hello <i>you</i> &amp; me\nsecond line", "line:10% align:start"),
        Cue(3_600_250, 3_602_000, "Late"),
    )


def test_line_ends_of_any_kind_are_read():
    for end in ("\n", "\r\n", "\r"):
        assert parse(FROM_FFMPEG.replace("\n", end)) == parse(FROM_FFMPEG)


def test_what_lies_behind_the_film_is_left_out_and_what_reaches_over_its_end_is_cut():
    assert within(parse(FROM_FFMPEG), 2000) == (
        Cue(0, 1000, "First"),
        Cue(1500, 2000, "Hello <i>you</i> &amp; me\nsecond line", "line:10% align:start"),
    )
    assert within(parse(FROM_FFMPEG), 1500) == (Cue(0, 1000, "First"),)


lines = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=20).filter(
    lambda line: line.strip() and line == line.rstrip() and "-->" not in line
)
cues = st.builds(
    lambda start, length, text: Cue(start, start + length, "\n".join(text)),
    st.integers(0, 10**8),
    st.integers(1, 10**6),
    st.lists(lines, min_size=1, max_size=3),
)


@given(st.lists(cues, max_size=6))
def test_what_is_written_is_read_back_in_order(some):
    assert parse(write(some)) == tuple(sorted(some))


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text):
    for cue in parse(text):
        assert cue.start < cue.end
        assert cue.text.strip()
    assert parse(write(parse(text))) == parse(text)


@given(st.lists(st.sampled_from(FROM_FFMPEG.split("\n")), max_size=30))
def test_lines_in_any_order_give_cues_or_nothing(some):
    found = parse("\n".join(some))
    assert list(found) == sorted(found)
    assert parse(write(found)) == found
