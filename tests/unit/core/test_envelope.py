"""Sealed secrets: only the region opens them, only under their own name, and after any number of rotations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.envelope import SealBroken, Sealed, seal, unseal
from kinema.core.keys import KeyRing

SECRET = bytes(range(16))


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    return KeyRing(tmp_path_factory.mktemp("data"))


def test_what_was_sealed_is_opened_however_often_the_region_changes_its_key(tmp_path):
    ring = KeyRing(tmp_path)
    sealed = seal(SECRET, "film", ring)
    for _ in range(5):
        ring.rotate("content")
    assert unseal(sealed, "film", KeyRing(tmp_path)) == SECRET
    assert seal(SECRET, "film", ring).by != sealed.by


def test_nothing_of_the_secret_is_to_be_seen_and_no_two_boxes_are_alike(ring):
    first, second = seal(SECRET, "film", ring), seal(SECRET, "film", ring)
    assert SECRET not in first.box
    assert first.box != second.box


def test_a_secret_opens_under_its_own_name_only(ring):
    with pytest.raises(SealBroken, match="changed"):
        unseal(seal(SECRET, "film", ring), "another film", ring)


def test_another_region_opens_nothing(ring, tmp_path):
    with pytest.raises(SealBroken, match=r"keys/content\.json"):
        unseal(seal(SECRET, "film", ring), "film", KeyRing(tmp_path))


@given(st.data())
def test_any_changed_bit_is_noticed(ring, data):
    sealed = seal(SECRET, "film", ring)
    box = bytearray(sealed.box)
    box[data.draw(st.integers(0, len(box) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = data.draw(st.integers(0, len(box)))
    for damaged in (bytes(box), sealed.box[:cut] if cut < len(box) else b""):
        with pytest.raises(SealBroken):
            unseal(Sealed(sealed.by, damaged), "film", ring)
