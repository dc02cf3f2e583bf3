"""The studio's alphabet: every glyph leaves ink, weights differ, and the pen writes from the first letter to the last."""

import numpy as np
import pytest

from kinema.demo.lettering import GLYPHS, Ink, letter, line_width


@pytest.mark.parametrize("glyph", [glyph for glyph in GLYPHS if glyph != " "])
def test_every_glyph_leaves_ink_inside_its_block(glyph):
    mask = letter(glyph, 40).mask()
    assert mask.max() == 1
    assert mask[0].max() == mask[-1].max() == mask[:, 0].max() == mask[:, -1].max() == 0


def test_a_heavier_pen_leaves_more_ink_and_a_hollow_one_less():
    thin, thick = (letter("Kinema", 60, Ink(weight)).mask().sum() for weight in (0.05, 0.15))
    hollow = letter("Kinema", 60, Ink(0.15, hollow=True)).mask().sum()
    assert thin < hollow < thick


def test_the_pen_writes_from_left_to_right_and_ends_with_the_whole_word():
    word = letter("MMMM", 40)
    whole = word.mask()
    half = word.mask(0.5)
    middle = whole.shape[1] // 2
    assert np.array_equal(half[:, : middle - 12], whole[:, : middle - 12])
    assert half[:, middle + 12 :].max() == 0
    assert word.mask(0.0).max() == 0


def test_lines_are_centred():
    mask = letter("I\nMMMMM", 40).mask()
    upper = mask[: mask.shape[0] // 2].sum(axis=0)
    centre = float((upper * np.arange(len(upper))).sum() / upper.sum())
    assert abs(centre - (mask.shape[1] - 1) / 2) <= 1


def test_width_counts_no_space_after_the_last_letter():
    ink = Ink(tracking=0.5)
    assert line_width("HH", ink) == pytest.approx(2 * GLYPHS["H"][0] + 0.5)
    assert line_width("", ink) == 0


def test_a_letter_that_the_alphabet_lacks_is_an_error():
    with pytest.raises(KeyError):
        letter("Ω", 20)
