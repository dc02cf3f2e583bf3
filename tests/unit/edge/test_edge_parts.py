"""The pure parts of the edge: paths, ranges, slices, eviction."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.model.encoding import ByteRange, Segment, Track
from kinema.services.edge.eviction import LeastRecentlyUsed
from kinema.services.edge.requests import MediaPath, RangeNotSatisfiable, names_etag, parse_path, parse_range
from kinema.services.edge.slices import ENOUGH, MOST, Cut, ManifestUnusable
from tests.unit.edge.conftest import Film


def track(lengths: list[int], header: int = 1000, tail: int = 0) -> Track:
    segments, offset = [], header
    for length in lengths:
        segments.append(Segment(offset, length, 1, "ab" * 32))
        offset += length
    return msgspec.structs.replace(
        Film(lengths=(1,)).track, segments=tuple(segments), size=offset + tail, index=ByteRange(500, header - 500)
    )


def test_a_path_is_taken_apart() -> None:
    assert parse_path("/m/a.b.c/ast_1/12/video-360p") == MediaPath("a.b.c", "ast_1", 12, "video-360p")
    assert parse_path("/m/a.b.c/ast_1/12/video-360p.mp4") == MediaPath("a.b.c", "ast_1", 12, "video-360p")
    assert parse_path("/m/a.b.c/ast_1/12/thumbnails-1.jpg") == MediaPath("a.b.c", "ast_1", 12, "thumbnails-1")
    assert parse_path("/m/a.b.c/ast_1/12/text-eng-vtt.vtt") == MediaPath("a.b.c", "ast_1", 12, "text-eng-vtt")


@pytest.mark.parametrize(
    "path",
    [
        "/m/t/a/1/",
        "/m/t/a/01/x",
        "/m/t/a/-1/x",
        "/m/t/a/1/x/y",
        "/m//a/1/x",
        "/m/t/a/1/x?",
        "/m/t/a/1/x\n",
        "/m/t/A/1/x",
        "/m/t/a/1/.x",
        "/m/t/a/9999999999/x",
        f"/m/{'t' * 2049}/a/1/x",
    ],
)
def test_a_path_that_is_none(path: str) -> None:
    assert parse_path(path) is None


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 40))
def test_a_range_is_what_a_slice_would_give(first: int, last: int, size: int) -> None:
    data = bytes(range(size))
    for text, expected in [
        (f"bytes={first}-{last}", data[first : last + 1]),
        (f"bytes={first}-", data[first:]),
        (f"bytes=-{last}", data[-last:] if last else b""),
    ]:
        try:
            found = parse_range(text.encode(), size)
        except RangeNotSatisfiable:
            assert not expected
        else:
            if found is None:
                assert last < first
            else:
                assert data[found[0] : found[1]] == expected


@given(st.binary(max_size=30))
def test_no_range_field_is_an_error(value: bytes) -> None:
    try:
        found = parse_range(value, 100)
    except RangeNotSatisfiable:
        return
    assert found is None or 0 <= found[0] < found[1] <= 100


def test_entity_tags() -> None:
    assert names_etag(b'"a", W/"b"', b'"b"')
    assert names_etag(b" * ", b'"b"')
    assert not names_etag(b'"a"', b'"b"')


@given(st.lists(st.integers(1, 3 * MOST // 2), min_size=1, max_size=40), st.integers(600, 5000), st.integers(0, 99))
def test_slices_cover_a_track_in_whole_segments(lengths: list[int], header: int, tail: int) -> None:
    asked = track(lengths, header, tail)
    cut = Cut(asked)
    assert cut.slices[0].start == 0
    assert cut.slices[-1].end == asked.size
    assert all(left.end == right.start for left, right in zip(cut.slices, cut.slices[1:], strict=False))
    borders = {segment.offset for segment in asked.segments}
    assert {piece.start for piece in cut.slices[1:]} <= borders
    checked = [(piece.start + check.start, check.end - check.start) for piece in cut.slices for check in piece.checks]
    assert checked == [(segment.offset, segment.length) for segment in asked.segments]
    for piece in cut.slices:
        assert len(piece.checks) == 1 or piece.length <= MOST + tail
        for position in (piece.start, (piece.start + piece.end) // 2, piece.end - 1):
            assert cut.at(position) is piece
    for left, right in zip(cut.slices, cut.slices[1:], strict=False):
        assert left.length >= ENOUGH or left.length + right.checks[0].end > MOST
    assert [piece.index_at for piece in cut.slices] == [504] + [None] * (len(cut.slices) - 1)
    assert len({piece.name for piece in cut.slices}) == len(cut.slices)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda asked: msgspec.structs.replace(asked, segments=()),
        lambda asked: msgspec.structs.replace(asked, segments=asked.segments[::-1]),
        lambda asked: msgspec.structs.replace(asked, segments=asked.segments[:1] * 2),
        lambda asked: msgspec.structs.replace(asked, size=asked.size - 1),
        lambda asked: msgspec.structs.replace(asked, index=ByteRange(500, 501)),
        lambda asked: msgspec.structs.replace(
            asked, segments=(msgspec.structs.replace(asked.segments[0], length=0), asked.segments[1])
        ),
        lambda asked: msgspec.structs.replace(
            asked, segments=(msgspec.structs.replace(asked.segments[0], digest="ab"), asked.segments[1])
        ),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(spoil) -> None:
    with pytest.raises(ManifestUnusable, match="encode the film again"):
        Cut(spoil(track([10, 20])))


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 40)), max_size=60))
def test_eviction_keeps_the_recent_within_the_capacity(steps: list[tuple[str, int]]) -> None:
    order = LeastRecentlyUsed(100)
    model: dict[str, int] = {}  # oldest first
    for name, size in steps:
        if size == 0 and name in order:
            order.used(name)
            model[name] = model.pop(name)
        else:
            order.added(name, size)
            model.pop(name, None)
            model[name] = size
        expected = []
        while sum(model.values()) > 100:
            oldest = next(iter(model))
            del model[oldest]
            expected.append(oldest)
        assert order.victims() == expected
        assert order.held == sum(model.values()) <= 100
        assert len(order) == len(model)
