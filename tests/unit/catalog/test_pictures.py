"""Pictures are told by their bytes."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.errors import BadInput, TooLarge, Unsupported
from kinema.services.catalog.pictures import MOST_BYTES, Picture, inspect
from tests.unit.catalog.pictures import FORMATS, picture

TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}


@pytest.mark.parametrize("kind", FORMATS)
def test_real_pictures_are_read(tmp_path, kind):
    assert inspect(picture(tmp_path, kind, "128x192")) == Picture(TYPES[kind], 128, 192)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_cut_off_picture_is_damaged_and_nothing_worse(tmp_path, kind):
    body = picture(tmp_path, kind, "128x192")
    for length in range(min(len(body), 600)):
        with suppress(BadInput):  # Unsupported and TooLarge are of its kind
            inspect(body[:length])


@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF0000WEBP", b"\0\0\0\x18ftypavif", b""]), st.binary()
)
def test_garbage_is_refused_and_nothing_worse(head, rest):
    with suppress(BadInput):
        inspect(head + rest)


def test_other_formats_and_sizes_are_refused():
    for body in (b"", b"GIF89a" + b"\0" * 100, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"text"):
        with pytest.raises(Unsupported):
            inspect(body)
    with pytest.raises(TooLarge):
        inspect(b"\xff\xd8\xff" + b"\0" * MOST_BYTES)
    for width, height in ((15, 100), (9000, 100), (8000, 8000), (0, 0)):
        with pytest.raises(BadInput, match="pixels"):
            inspect(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height))
