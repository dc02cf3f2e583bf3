"""What clients put into tus headers: read strictly, titles made fit to be shown."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.errors import BadInput, PreconditionFailed
from kinema.services.encoding import tus
from tests.unit.encoding.room import metadata


def test_a_title_is_one_clean_line():
    film = tus.film_metadata(metadata(filename="x.mp4", title=' He said "Stop!"\r\n\tand\x00 left \u2028 '))
    assert film.title == 'He said "Stop!" and left'


def test_the_title_comes_from_the_name_when_there_is_none():
    assert tus.film_metadata(metadata(filename='My_first.film "x".mp4')).title == 'My first film "x"'
    assert tus.film_metadata(metadata(filename="../../etc/passwd")).title == "passwd"
    assert tus.film_metadata(metadata(filename="C:\\films\\a.mkv")).title == "a"
    assert tus.film_metadata(metadata(filename=".mp4")).title == "mp4"
    assert tus.film_metadata(None).title == "Untitled"


@given(st.text(max_size=2000), st.text(max_size=1000))
def test_any_texts_become_a_title_that_can_be_shown(title, filename):
    try:
        header = metadata(filename=filename, title=title)
    except UnicodeEncodeError:
        return
    try:
        film = tus.film_metadata(header)
    except BadInput:
        assert len(header) > 8192
        return
    assert 0 < len(film.title) <= 300
    assert film.title.isprintable()
    assert film.title == film.title.strip()


@given(st.text(max_size=200))
def test_any_header_is_read_or_refused(header):
    try:
        found = tus.parse_metadata(header)
    except BadInput:
        return
    assert all(isinstance(value, str) for value in found.values())


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.text(max_size=60), max_size=6))
def test_what_was_written_is_read_back(facts):
    try:
        header = metadata(**facts)
    except UnicodeEncodeError:
        return
    assert tus.parse_metadata(header) == facts


@pytest.mark.parametrize("header", [None, "", "-1", "1e3", "\uff19", "1" * 30, " 1"])
def test_lengths_are_plain_numbers(header):
    with pytest.raises(BadInput):
        tus.natural(header, "Upload-Length")


def test_checksums():
    digest = base64.b64encode(b"x").decode()
    assert tus.parse_checksum(None) is None
    assert tus.parse_checksum(f"sha1 {digest}").digest == b"x"
    for header in (f"md5 {digest}", "sha256 ***", "sha256"):
        if header == "sha256":
            assert tus.parse_checksum(header).digest == b""
            continue
        with pytest.raises(BadInput):
            tus.parse_checksum(header)


def test_another_version_of_the_protocol_is_refused():
    for header in (None, "0.2.2"):
        with pytest.raises(PreconditionFailed):
            tus.check_version(header)
