"""Rungs made of chunks: cut at shots, in step with the film, and never more than a decoder's buffer holds."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.services.encoding.chunks.continuity import IMPOSSIBLE, Drain, drain_of
from kinema.services.encoding.chunks.cut import chunks_of
from kinema.services.encoding.chunks.mezzanine import NORMALISE, Normalise
from kinema.services.encoding.chunks.packets import list_packets
from kinema.services.encoding.chunks.pictures import can_seek
from kinema.services.encoding.chunks.rung import Film, Quality, encode_rung, encodes_of
from kinema.services.encoding.execution.local import LocalPool
from kinema.services.encoding.execution.machine import Machine
from kinema.services.encoding.execution.steps import Steps
from kinema.services.encoding.execution.work import Context
from kinema.services.encoding.inspection import inspect
from kinema.services.encoding.ledger import Ledger
from kinema.services.encoding.shots.timeline import timeline
from kinema.services.encoding.tools import find_tools
from kinema.storage.content import content_key, store
from tests.support import clips
from tests.unit.encoding.pictures import sums

TOOLS = find_tools()
sizes = st.lists(st.integers(0, 4000), min_size=1, max_size=30)


def naive(pictures, rate, peak, buffer, fill):
    """Return whether every picture is there in time, and the fill that is left."""
    held = True
    arrived = 0
    for number, size in enumerate(pictures, 1):
        held = held and size * 8 <= fill
        gain = int(peak / rate * number) - arrived
        arrived += gain
        fill = min(buffer, fill - size * 8 + gain)
    return held, fill


@given(sizes, st.integers(1, 200_000), st.integers(1, 60_000), st.integers(0, 60_000))
def test_three_numbers_say_what_a_chunk_does_to_a_buffer(pictures, peak, buffer, fill):
    fill = min(fill, buffer)
    drain = drain_of(pictures, Fraction(24), peak, buffer)
    held, left = naive(pictures, Fraction(24), peak, buffer, fill)
    assert (drain.needs <= fill) == held
    if held:
        assert drain.after(fill) == left


@given(st.lists(st.builds(Drain, st.integers(0, 99), st.integers(-99, 99), st.integers(0, 99)), min_size=3, max_size=3))
def test_chunks_may_be_taken_together_in_any_way(three):
    a, b, c = three
    one, other = a.then(b).then(c), a.then(b.then(c))
    for fill in range(100):
        assert (one.needs <= fill) == (other.needs <= fill)
        if one.needs <= fill:
            assert one.after(fill) == other.after(fill)


def test_what_no_buffer_holds_is_impossible():
    assert drain_of([10, 100], Fraction(1), 8, 400).needs == IMPOSSIBLE


@given(st.lists(st.integers(0, 3000), max_size=60), st.integers(1, 3000))
def test_chunks_cover_the_film_and_begin_with_shots(cuts, total):
    divided = timeline(cuts, total, Fraction(24))
    chunks = chunks_of(divided)
    starts = {shot.start for shot in divided.shots}
    assert [chunk.start for chunk in chunks] == [
        0,
        *(chunk.start + chunk.frames for chunk in chunks[:-1]),
    ]
    assert chunks[-1].start + chunks[-1].frames == total
    assert {chunk.start for chunk in chunks} <= starts
    assert tuple(gop for chunk in chunks for gop in chunk.gops) == divided.gops
    assert all(chunk.frames >= 240 for chunk in chunks[:-1])
    assert len(chunks) == 1 or chunks[-1].frames >= 120


class Making:
    def __init__(self, room, scratch, threads=2):
        scratch.mkdir()
        self.context = Context(TOOLS, room.blobs, scratch)
        pool = LocalPool(self.context, Machine(threads, 8 << 30))
        self.steps = Steps("0" * 64, Ledger(room.sql, room.blobs, room.clock), pool, TOOLS.versions)
        self.blobs = room.blobs

    async def film(self, path, cuts=()):
        facts = await inspect(path, TOOLS)
        source = await store(self.blobs, "sources", path)
        rate = Fraction(facts.frame_rate)
        return Film(source, facts, timeline(cuts, round(facts.duration_seconds * rate), rate))

    def path(self, made):
        return self.blobs.local_path(content_key("steps", made.digest))


@pytest.fixture
def making(opened, tmp_path):
    return Making(opened[0], tmp_path / "scratch")


def quality_of(film, codec="x264", crf=30.0, peak=600_000, **changes):
    crfs = tuple((shot.start, shot.frames, crf) for shot in film.timeline.shots)
    preset = {"x264": "superfast", "svt-av1": "12"}[codec]
    return Quality(codec, preset, 160, 90, crfs, peak, peak, **changes)


async def test_a_rung_is_made_of_chunks_and_its_buffer_holds_over_the_seams(making, tmp_path):
    noisy = ("-vf", "noise=alls=60:allf=t")
    path = clips.make_clip(tmp_path / "film.mp4", seconds=31, size="160x90", rate="12", sound=False, extra=noisy)
    film = await making.film(path, cuts=(130, 260))
    quality = quality_of(film, crf=16.0, peak=200_000)
    assert [encode.start for encode in encodes_of(film, quality)] == [0, 130, 260]
    rung = await encode_rung(making.steps, film, quality)
    packets = await list_packets(TOOLS, making.path(rung))
    assert (len(packets), rung.frames, rung.overdrawn) == (372, 372, 0)
    assert [number for number, packet in enumerate(packets) if packet.key] == [gop.start for gop in film.timeline.gops]
    whole = drain_of([packet.size for packet in packets], Fraction(12), 200_000, 200_000)
    assert whole.needs <= 0.9 * 200_000
    assert sum(rung.gop_bytes) == sum(packet.size for packet in packets)


async def test_a_chunk_that_asks_for_too_much_at_its_seam_is_encoded_again(making, tmp_path):
    # It ends with a scene that empties the buffer and begins the next with another one.
    noisy = ("-vf", "noise=alls=90:allf=t")
    path = clips.make_clip(tmp_path / "film.mp4", seconds=21, size="160x90", rate="12", sound=False, extra=noisy)
    film = await making.film(path, cuts=(125,))
    rung = await encode_rung(making.steps, film, quality_of(film, codec="svt-av1", crf=20.0, peak=250_000))
    assert making.steps.made["encode-chunk"] > 2
    if not rung.overdrawn:
        packets = await list_packets(TOOLS, making.path(rung))
        assert drain_of([packet.size for packet in packets], Fraction(12), 250_000, 250_000).needs <= 225_000


async def test_nothing_is_encoded_twice_and_sound_does_not_matter_to_pictures(making, tiny):
    film = await making.film(tiny)
    first = await encode_rung(making.steps, film, quality_of(film))
    silent = msgspec.structs.replace(film, facts=msgspec.structs.replace(film.facts, audio=()))
    assert await encode_rung(making.steps, silent, quality_of(film)) == first
    assert making.steps.made["encode-chunk"] == making.steps.found["encode-chunk"] == 1


async def test_a_transport_stream_is_encoded_by_a_lossless_copy(making, tmp_path):
    path = clips.make_clip(
        tmp_path / "film.ts", seconds=4, size="160x90", rate="25", sound=False, extra=("-bf", "2", "-g", "10")
    )
    film = await making.film(path)
    assert not can_seek(film.facts)
    made = await making.steps.do(NORMALISE, Normalise(film.source, film.facts))
    assert can_seek(made.facts)
    assert made.frames == 100

    chain = f"fps={film.facts.frame_rate}:start_time=0"
    kept = sums(["-i", str(making.path(made)), "-vf", chain])
    assert kept == sums(["-i", str(path), "-map", "0:v", "-vf", chain])[:100]
