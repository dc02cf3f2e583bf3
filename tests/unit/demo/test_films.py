"""Every film of the studio, on a small stage: it paints what it promises, the same each time, and its sound is fit to hear."""

import hashlib
import itertools

import numpy as np
import pytest

from kinema.demo import sound
from kinema.demo.artwork import artwork, jpeg
from kinema.demo.catalogue import items
from kinema.demo.films import FILMS, film
from kinema.demo.lettering import GLYPHS
from kinema.demo.render import version

EVERY_FILM = pytest.mark.parametrize("slug", FILMS)


@EVERY_FILM
def test_frames_have_the_promised_form_and_come_out_the_same_twice(slug):
    made = film(slug)
    stage = made.stage(scale=0.1, seconds=2.0)
    digests = []
    for _ in range(2):
        digest = hashlib.sha256()
        for frame in itertools.islice(made.frames(stage), 8):
            if made.pixels == "gray":
                assert frame.shape == (stage.height, stage.width)
            elif made.pixels == "gbrp16le":
                assert frame.shape == (3, stage.height, stage.width)
            else:
                assert frame.shape == (stage.height, stage.width, 3)
            assert frame.dtype == (np.uint16 if made.pixels.endswith("16le") else np.uint8)
            digest.update(np.ascontiguousarray(frame).tobytes())
        digests.append(digest.hexdigest())

    assert digests[0] == digests[1]


@EVERY_FILM
def test_a_film_has_as_many_frames_as_its_length_says_and_is_not_one_picture(slug):
    made = film(slug)
    stage = made.stage(scale=0.05, seconds=3.0)

    frames = list(made.frames(stage))

    assert stage.count == len(frames)
    assert len({frame.tobytes() for frame in frames}) > stage.count // 4


@EVERY_FILM
def test_the_sound_is_as_long_as_the_film_and_neither_clips_nor_clicks(slug):
    made = film(slug)
    stage = made.stage(seconds=20.0)

    heard = made.score(stage)

    assert heard.shape == (round(stage.seconds * sound.RATE), 2)
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert 0.2 < np.abs(heard).max() < 0.9
    assert 0.03 < np.sqrt((heard**2).mean()) < 0.3
    assert np.abs(heard[0]).max() < 0.02
    assert np.abs(heard[-480:]).max() < 0.05


@EVERY_FILM
@pytest.mark.parametrize(("kind", "shape"), [("poster", (240, 160, 3)), ("billboard", (216, 384, 3))])
def test_artwork_has_its_size_and_something_to_see(slug, kind, shape):
    picture = artwork(film(slug), kind, scale=0.2)

    assert picture.shape == shape
    assert 0 <= picture.min() <= picture.max() <= 1
    assert picture.std() > 0.03
    assert jpeg(picture).startswith(b"\xff\xd8\xff")


@EVERY_FILM
def test_its_words_can_be_written_with_the_studios_alphabet(slug):
    made = film(slug)
    words = [made.lettering.poster, *(cue.text for cue in made.cues)]
    assert set("".join(words).upper()) <= {*GLYPHS, "\n"}


@EVERY_FILM
def test_it_is_as_long_and_as_large_as_the_catalogue_promises(slug):
    made = film(slug)
    assert 20 <= made.seconds <= 60
    assert made.fps >= 24
    assert made.size in {(1280, 720), (1920, 1080)}
    assert all(cue.end <= made.seconds for cue in made.cues)
    assert made.synopsis.endswith(".")


def test_the_studio_has_eight_films_or_more_and_two_in_full_hd():
    assert len(FILMS) >= 8
    assert sum(film(slug).size == (1920, 1080) for slug in FILMS) >= 2


def test_every_title_of_the_catalogue_has_an_id_and_a_version_of_its_own():
    catalogue = items()
    assert len({item.title_id for item in catalogue}) == len(catalogue)
    assert len({version(film(slug)) for slug in FILMS}) == len(FILMS)


def test_an_unknown_film_is_named_with_those_that_there_are():
    with pytest.raises(KeyError, match="there are nobody-up-yet"):
        film("casablanca")
