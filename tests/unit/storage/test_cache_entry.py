"""What lies in a cache is read back as it was written, or not at all."""

from hypothesis import given
from hypothesis import strategies as st

from kinema.storage.cache_entry import MAX_OVERHEAD, Entry, decode_entry, encode_entry

TIMES = st.floats(min_value=0, max_value=1e12)
ENTRIES = st.builds(Entry, st.none() | st.binary(max_size=300), TIMES, TIMES)


@given(ENTRIES)
def test_an_entry_comes_back(entry: Entry) -> None:
    stored = encode_entry(entry)
    assert decode_entry(stored) == entry
    assert len(stored) <= len(entry.value or b"") + MAX_OVERHEAD


@given(ENTRIES, st.data())
def test_a_truncated_or_changed_entry_is_none(entry: Entry, data: st.DataObject) -> None:
    stored = encode_entry(entry)
    assert decode_entry(stored[: data.draw(st.integers(0, len(stored) - 1))]) is None
    place = data.draw(st.integers(0, len(stored) - 1))
    changed = bytearray(stored)
    changed[place] ^= data.draw(st.integers(1, 255))
    assert decode_entry(bytes(changed)) is None
    assert decode_entry(stored + b"x") is None


@given(st.binary(max_size=100) | st.none())
def test_what_somebody_else_wrote_is_none(stored: bytes | None) -> None:
    assert decode_entry(stored) is None
    assert decode_entry(b"kc\x01" + (stored or b"")) is None
