"""A title, from its source to verified tracks: which steps there are and what each needs of those before.

    facts -> [lossless copy, where decoding cannot begin anywhere] -> cuts -> timeline -> rungs that were chosen
          -> each rung:  chunks -> join -> package -> verify      (scored chunk by chunk beside that)
          -> each sound: encode -> package -> verify

Everything is a step in the ledger, so a title that was begun goes on where it was, and what is asked for twice is there. All
that takes long goes through `Steps`, to wherever there is room for it.
"""

from fractions import Fraction

import msgspec

from kinema.model.encoding import Track
from kinema.services.encoding.allocation.rungs import PlannedRung, PlannedShot
from kinema.services.encoding.chunks.encode import ENCODE_CHUNK
from kinema.services.encoding.chunks.mezzanine import NORMALISE, Normalise
from kinema.services.encoding.chunks.pictures import can_seek
from kinema.services.encoding.chunks.rung import Film, Joined, Quality, bare, encode_rung, encodes_of
from kinema.services.encoding.codecs.table import codec_named
from kinema.services.encoding.execution.steps import Steps
from kinema.services.encoding.execution.together import together
from kinema.services.encoding.execution.work import Cost
from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.ladder import rungs_for
from kinema.services.encoding.pipeline import Pipeline
from kinema.services.encoding.quality.vmaf import SCORE, Model, Scoring, model_for, scoring_cost
from kinema.services.encoding.shots.detection import DETECT, Search
from kinema.services.encoding.shots.timeline import timeline
from kinema.services.encoding.sound.renditions import renditions, track_name

_QUICK = 1  # priority of what others wait for, above that of chunks


class PlannedWork(msgspec.Struct, frozen=True):
    """What a rung will take: pieces of work of one kind, and their processor time."""

    rung: str
    kind: str
    pieces: int
    cpu_seconds: float


class Title:
    """The steps of one title. `digest` is that of its source; `threads` are those of each piece of work."""

    def __init__(self, digest: str, steps: Steps, pipeline: Pipeline, threads: int = 1) -> None:
        self._digest = digest
        self._steps = steps
        self._pipeline = pipeline
        self._threads = threads

    async def facts(self) -> Facts:
        """Return what the source is. Raises Unusable with a sentence when it cannot be encoded."""
        return await self._pipeline.facts()

    async def film(self, facts: Facts) -> Film:
        """Return what pictures are made from: the source or its lossless copy, and its division into shots and GOPs."""
        source, pictures = self._digest, bare(facts)
        if not can_seek(facts):
            copy = await self._steps.do(NORMALISE, Normalise(source, facts, self._threads), _QUICK)
            source, pictures = copy.digest, bare(copy.facts)
        scenes = await self._steps.do(DETECT, Search(source, pictures), _QUICK)
        return Film(source, pictures, timeline(scenes.cuts, scenes.frames, Fraction(facts.frame_rate)))

    async def encoded(self, film: Film, rung: PlannedRung, priority: int = 0) -> Joined:
        """Return a rung's pictures, joined."""
        return await encode_rung(self._steps, film, self.quality(film, rung), priority)

    async def rung(self, film: Film, rung: PlannedRung, model: Model, priority: int = 0) -> Track:
        """Return a rung's track, verified, each segment with its quality. Raises Unusable when pictures cannot be decoded."""
        joined = await self.encoded(film, rung, priority)
        scores = await self._scores(film, joined, model, priority)
        gops = tuple(gop.frames for gop in film.timeline.gops)
        return await self._pipeline.packaged(joined.digest, rung, film.facts.frame_rate, gops, scores)

    async def tracks(self, facts: Facts, film: Film, rungs: tuple[PlannedRung, ...]) -> tuple[Track, ...]:
        """Return the tracks of all rungs, in their order, and of all sounds, made at the same time."""
        model = model_of(rungs)

        async def one(rung: PlannedRung) -> tuple[Track, ...]:
            return (await self.rung(film, rung, model),)

        made = await together([*(one(rung) for rung in rungs), self.sounds(facts)])
        return tuple(track for tracks in made for track in tracks)

    async def sounds(self, facts: Facts, *, whole: bool = True) -> tuple[Track, ...]:
        """Return the sound tracks, verified; without `whole` only the rendition of each sound that everything plays.

        Raises Unusable when one cannot be decoded.
        """
        tracks: list[Track] = []
        languages: list[str] = []
        for audio in facts.audio:
            for rendition in renditions(audio)[: None if whole else 1]:
                name = track_name(audio, rendition, languages.count(audio.language))
                tracks.append(await self._pipeline.sound(facts, audio, rendition, name))
            languages.append(audio.language)
        return tuple(tracks)

    def quality(self, film: Film, rung: PlannedRung) -> Quality:
        """Return how a planned rung is encoded. Shots that end before the film does are stretched to its end."""
        crfs = [(shot.start, shot.frames, shot.crf) for shot in rung.shots if shot.start < film.timeline.frames]
        start, _, crf = crfs[-1]
        crfs[-1] = (start, film.timeline.frames - start, crf)
        return Quality(
            codec=rung.codec,
            preset=rung.preset,
            width=rung.width,
            height=rung.height,
            crfs=tuple(crfs),
            peak_bits_per_second=rung.peak_bits_per_second,
            buffer_bits=rung.buffer_bits,
            threads=self._threads,
        )

    def work(self, film: Film, rung: PlannedRung) -> tuple[PlannedWork, ...]:
        """Return what a rung is going to take."""
        chunks = [ENCODE_CHUNK.cost(encode) for encode in encodes_of(film, self.quality(film, rung))]
        scores = scoring_cost(film.facts, film.timeline.frames, self._threads)
        return (
            PlannedWork(rung.name, "encode-chunk", len(chunks), _seconds(chunks)),
            PlannedWork(rung.name, "score", len(chunks), _seconds([scores])),
        )

    async def _scores(self, film: Film, joined: Joined, model: Model, priority: int) -> tuple[float, ...]:
        scorings = [
            Scoring(
                encoded=chunk.digest,
                source=film.source,
                facts=film.facts,
                start=chunk.start,
                frames=chunk.frames,
                gops=film.timeline.gops_between(chunk.start, chunk.frames),
                model=model,
                threads=self._threads,
            )
            for chunk in joined.chunks
        ]
        scores = await together(self._steps.do(SCORE, scoring, priority) for scoring in scorings)
        return tuple(vmaf for score in scores for vmaf in score.gops)


def fixed_rungs(facts: Facts, codec: str) -> tuple[PlannedRung, ...]:
    """Return the ladder that a film gets by its size alone, of one encoder, each rung at one CRF."""
    row = codec_named(codec)
    rate = Fraction(facts.frame_rate)
    frames = max(1, round(facts.duration_seconds * rate))
    return tuple(
        PlannedRung(
            name=rung.name if codec == "x264" else f"{rung.name}-{codec}",
            codec=codec,
            preset=row.preset,
            width=rung.width,
            height=rung.height,
            bits_per_second=0,
            vmaf=0.0,
            peak_bits_per_second=rung.peak_bits_per_second,
            buffer_bits=rung.buffer_bits,
            reason=f"The fixed ladder has {rung.width}x{rung.height} for films of this size; nothing was probed.",
            shots=(PlannedShot(0, frames, float(row.probe_crfs[0]), 0, 0.0),),
        )
        for rung in rungs_for(facts.width, facts.height, rate)
    )


def model_of(rungs: tuple[PlannedRung, ...]) -> Model:
    """Return the VMAF model of a ladder: that of its largest rung."""
    largest = max(rungs, key=lambda rung: rung.width * rung.height)
    return model_for(largest.width, largest.height)


def _seconds(costs: list[Cost]) -> float:
    return round(sum(cost.cpu_seconds for cost in costs), 2)
