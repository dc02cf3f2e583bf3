"""Making a title: first a quick version that plays, then the ladder that it deserves; or rungs of another codec for one that is there.

    a film       facts -> quick rung -> version 1 -> shots -> probes -> plan -> rungs, in the order in which they help most
                       -> a version as soon as there are two of them, one for each more, the last one complete -> report
    a backfill   facts -> shots of the version that is there -> probes -> plan -> rungs -> one version with all of them -> report

Everything that takes long is a step in the ledger, so a job that is taken up again finds what was finished. All rungs are
queued at once, the first of them with the highest priority, so that no processor waits for the end of a rung.
"""

import asyncio
from collections.abc import Awaitable, Callable
from fractions import Fraction
from functools import partial
from typing import Any

import msgspec

from kinema.core import log
from kinema.core.errors import KinemaError
from kinema.model.encoding import Manifest, Track
from kinema.model.encoding_report import EncodingReport
from kinema.services.encoding.allocation.rungs import PlannedRung
from kinema.services.encoding.chunks.rung import Film
from kinema.services.encoding.execution.steps import Steps
from kinema.services.encoding.execution.work import Executor
from kinema.services.encoding.flow.backfills import ENCODERS
from kinema.services.encoding.flow.plan import LadderPlan, in_order, plan_ladder, probes_of
from kinema.services.encoding.flow.progress import Progress
from kinema.services.encoding.flow.quick import quick_film, quick_rung
from kinema.services.encoding.flow.reports import (
    Reports,
    costs_of,
    mean_vmaf,
    rung_report,
    savings,
    shot_reports,
)
from kinema.services.encoding.flow.savings import saved_share
from kinema.services.encoding.inspection import Facts, Unusable
from kinema.services.encoding.job_rows import Work
from kinema.services.encoding.ledger import Ledger
from kinema.services.encoding.packaging.extras import Extras, chapters_of
from kinema.services.encoding.pipeline import Pipeline
from kinema.services.encoding.publisher import Publisher
from kinema.services.encoding.quality.probes import PROBE
from kinema.services.encoding.shots.detection import DETECT, Search
from kinema.services.encoding.shots.timeline import Gop, Shot, Timeline
from kinema.services.encoding.title import Title
from kinema.services.encoding.verification import NotVerified

_logger = log.get_logger(__name__)

_PLAN = "plan"
_AT_ONCE = 2  # rungs of the ladder that a version has at least, unless it has no more
_QUICK_PRIORITY = 1000
_WORST_SURPRISE = 20.0  # VMAF points below the plan at which a rung is no longer bad luck

Finished = Callable[..., Awaitable[None]]
"""Notes that the job got further, with column values to store."""

Protect = Callable[[tuple[Track, ...]], Awaitable[tuple[Track, ...]]]
"""Returns tracks as they are to be published."""


class Making:
    """Makes what one job is for."""

    def __init__(
        self,
        work: Work,
        digest: str,
        pipeline: Pipeline,
        extras: Extras,
        ledger: Ledger,
        executor: Executor,
        tools: tuple[str, ...],
        publisher: Publisher,
        reports: Reports,
        progress: Progress,
        finished: Finished,
        protect: Protect,
        *,
        per_shot: bool,
    ) -> None:
        self._work = work
        self._digest = digest
        self._pipeline = pipeline
        self._extras = extras
        self._ledger = ledger
        self._executor = executor
        self._tools = tools
        self._publisher = publisher
        self._reports = reports
        self._progress = progress
        self._finished = finished
        self._protect = protect
        self._per_shot = per_shot

    async def film(self) -> None:
        """Publish a film: quickly, then as it deserves. Raises Unusable, NotVerified and what publishing raises."""
        facts = await self._facts()
        title = self._title(_PLAN, "encoding sound")
        poster = asyncio.create_task(self._pipeline.poster(facts))
        # The other renditions of the sound come with the ladder: they shall not delay the first play.
        sounds = asyncio.create_task(title.sounds(facts, whole=False))
        tasks: list[asyncio.Task[Any]] = [poster, sounds]
        try:
            quick = await self._quick(facts, poster, sounds)
            sounds = asyncio.create_task(title.sounds(facts))
            tasks.append(sounds)
            await self._ladder(facts, quick, sounds)
        except KinemaError:
            self._progress.estimate.failed()
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def backfill(self, manifest: Manifest) -> tuple[int, int]:
        """Add rungs of the job's codec to a version; return the bytes of the rungs before, and how many of them are saved."""
        facts = await self._facts()
        encoder = next(encoder for codec, encoder in ENCODERS.items() if codec == self._work.codec)
        film = await self._same_division(facts, manifest)
        plan, titles = await self._planned(film, encoder, 0)
        made = await self._all(plan, film, titles, lambda _: asyncio.sleep(0))
        before = [track for track in manifest.tracks if track.kind == "video"]
        tracks = (*manifest.tracks, *await self._protect(tuple(_by_size(made))))
        wanted = msgspec.structs.replace(manifest, tracks=tracks, quality_model=plan.model.value)
        self._progress.step = f"publishing {self._work.codec}"
        version = await self._publisher.publish_more(self._work, wanted, partial(self._pipeline.poster, facts))
        share = saved_share(
            [(track.average_bandwidth, mean_vmaf(track)) for track in made],
            [(track.average_bandwidth, mean_vmaf(track)) for track in before],
        )
        await self._report(facts, film, plan, titles, (*before, *made), version)
        size = sum(track.size for track in before)
        return size, round(size * (share or 0.0))

    async def _facts(self) -> Facts:
        self._progress.step = "looking at the film"
        facts = await self._pipeline.facts()
        await self._finished()
        return facts

    async def _quick(
        self, facts: Facts, poster: asyncio.Task[str], sounds: asyncio.Task[tuple[Track, ...]]
    ) -> Track | None:
        """Publish the first version; return its rung, None when only a look at the whole film can say what is in it."""
        film = quick_film(self._digest, facts)
        rung = quick_rung(facts, film.timeline.frames)
        title = self._title(rung.name, f"encoding {rung.name}")
        estimate = self._progress.estimate
        estimate.expect(rung.name, _seconds_of(title, film, rung, scored=False), rung=True)
        estimate.expect(_PLAN, _planning_seconds(film, "x264", per_shot=self._per_shot), rung=False)
        estimate.begun(rung.name)
        try:
            joined = await title.encoded(film, rung, _QUICK_PRIORITY)
        except Unusable as error:
            # The film may be shorter than it says; the search for cuts counts its pictures and has the last word.
            _logger.info("no quick version", job=self._work.job_id, reason=error.detail)
            estimate.drop(rung.name)
            return None
        self._progress.step = f"checking {rung.name}"
        gops = tuple(gop.frames for gop in film.timeline.gops)
        track = await self._pipeline.packaged(joined.digest, rung, facts.frame_rate, gops)
        await self._finished()
        await poster
        self._progress.step = f"publishing {rung.name}"
        await self._publish(facts, (track, *await sounds, *await self._beside(facts, track)), "", complete=False)
        estimate.published(rung.name)
        await self._finished(playable=True)
        return track

    async def _ladder(self, facts: Facts, quick: Track | None, sounds: asyncio.Task[tuple[Track, ...]]) -> None:
        film = await self._title(_PLAN, "looking for shots").film(facts)
        plan, titles = await self._planned(film, "x264", quick.average_bandwidth if quick else 0)
        version = 0

        async def publish(made: tuple[Track, ...]) -> None:
            nonlocal version
            if len(made) < min(_AT_ONCE, len(plan.rungs)):
                return
            self._progress.step = f"publishing {made[-1].name}"
            await self._pipeline.content(facts, made[0], await sounds)
            beside = await self._beside(facts, quick or made[0])
            tracks = (*_by_size(made), *await sounds, *beside)
            complete = len(made) == len(plan.rungs)
            version = await self._publish(facts, tracks, plan.model.value, complete=complete)
            for track in made:
                self._progress.estimate.published(track.name)
            await self._finished(playable=True)

        made = await self._all(plan, film, titles, publish)
        await self._report(facts, film, plan, titles, made, version)

    async def _planned(
        self, film: Film, encoder: str, first_bits_per_second: float
    ) -> tuple[LadderPlan, dict[str, Title]]:
        """Return the plan, its rungs in the order of encoding, and for each the title's steps that tell how far it is."""
        steps = self._steps(_PLAN, "measuring quality")
        estimate = self._progress.estimate
        estimate.expect(_PLAN, _planning_seconds(film, encoder, per_shot=self._per_shot), rung=False)
        plan = await plan_ladder(steps, film, encoder, per_shot=self._per_shot)
        plan = msgspec.structs.replace(plan, rungs=in_order(plan.rungs, first_bits_per_second))
        estimate.ended(_PLAN)
        await self._finished()
        titles = {rung.name: self._title(rung.name, f"encoding {rung.name}") for rung in plan.rungs}
        for rung in plan.rungs:
            estimate.expect(rung.name, _seconds_of(titles[rung.name], film, rung, scored=True), rung=True)
        return plan, titles

    async def _all(
        self,
        plan: LadderPlan,
        film: Film,
        titles: dict[str, Title],
        ready: Callable[[tuple[Track, ...]], Awaitable[None]],
    ) -> tuple[Track, ...]:
        """Make all rungs at the same time; `ready` is given those that are there, in order, whenever one more of them is."""
        tasks = [
            asyncio.create_task(titles[rung.name].rung(film, rung, plan.model, len(plan.rungs) - number))
            for number, rung in enumerate(plan.rungs)
        ]
        made: list[Track] = []
        try:
            for rung, task in zip(plan.rungs, tasks, strict=True):
                track = await task
                _check(track, rung.vmaf)
                made.append(track)
                self._progress.estimate.ended(rung.name)
                await self._finished()
                await ready(tuple(made))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return tuple(made)

    async def _same_division(self, facts: Facts, manifest: Manifest) -> Film:
        """Return the film divided as the version that is there: by its shots where these are its GOPs, else by its segments."""
        film = await self._title(_PLAN, "looking for shots").film(facts)
        track = next(track for track in manifest.tracks if track.kind == "video")
        frames = _frames_of(track)
        if frames == [gop.frames for gop in film.timeline.gops]:
            return film
        starts = [sum(frames[:index]) for index in range(len(frames))]
        gops = tuple(Gop(start, number) for start, number in zip(starts, frames, strict=True))
        shots = tuple(Shot(gop.start, gop.frames) for gop in gops)
        return msgspec.structs.replace(film, timeline=Timeline(film.timeline.frame_rate, shots, gops))

    async def _beside(self, facts: Facts, rung: Track) -> tuple[Track, ...]:
        return (*await self._extras.texts(facts), *await self._extras.thumbnails(facts, rung))

    async def _publish(self, facts: Facts, tracks: tuple[Track, ...], model: str, *, complete: bool) -> int:
        return await self._publisher.publish(
            self._work,
            await self._protect(tracks),
            facts.duration_seconds,
            partial(self._pipeline.poster, facts),
            complete=complete,
            chapters=chapters_of(facts),
            quality_model=model,
        )

    async def _report(
        self,
        facts: Facts,
        film: Film,
        plan: LadderPlan,
        titles: dict[str, Title],
        tracks: tuple[Track, ...],
        version: int,
    ) -> None:
        planned = {rung.name: rung for rung in plan.rungs}
        rungs = tuple(
            rung_report(track, rung.bits_per_second, rung.vmaf, rung.reason)
            if (rung := planned.get(track.name)) is not None
            else rung_report(track)
            for track in tracks
        )
        encoded = [await titles[rung.name].encoded(film, rung) for rung in plan.rungs]
        costs = [("probe", plan.cpu_seconds), *(("encode-chunk", one.cpu_seconds) for one in encoded)]
        best = max(tracks, key=lambda track: (track.width * track.height, track.average_bandwidth))
        rate = Fraction(film.timeline.frame_rate)
        await self._reports.keep(
            EncodingReport(
                title_id=self._work.title_id,
                title=self._work.title,
                asset=self._work.asset,
                version=version,
                created_at=self._publisher.now(),
                duration_seconds=facts.duration_seconds,
                frame_rate=facts.frame_rate,
                width=facts.width,
                height=facts.height,
                quality_model=plan.model.value,
                probes=plan.probes,
                hull=plan.hull,
                rungs=rungs,
                fixed=plan.fixed,
                shots=shot_reports(best, [float(shot.start / rate) for shot in film.timeline.shots]),
                costs=costs_of(costs),
                cpu_seconds=round(self._progress.cpu_seconds, 2),
                saved_share=savings(rungs, plan.fixed),
            )
        )

    def _steps(self, part: str, step: str) -> Steps:
        return Steps(self._digest, self._ledger, self._executor, self._tools, self._progress.notice(part, step))

    def _title(self, part: str, step: str) -> Title:
        return Title(self._digest, self._steps(part, step), self._pipeline)


def _check(track: Track, promised: float) -> None:
    """Raise NotVerified when a rung looks far worse than was planned: then something is broken, not unlucky."""
    real = mean_vmaf(track)
    if 0 < real < promised - _WORST_SURPRISE:
        raise NotVerified(
            f"The rung {track.name} looks like VMAF {real:.0f} although {promised:.0f} was planned; upload the file again."
        )


def _by_size(tracks: tuple[Track, ...]) -> list[Track]:
    return sorted(tracks, key=lambda track: (track.average_bandwidth, track.height))


def _frames_of(track: Track) -> list[int]:
    rate = Fraction(track.frame_rate)
    return [round(Fraction(segment.duration, track.timescale) * rate) for segment in track.segments]


def _seconds_of(title: Title, film: Film, rung: PlannedRung, *, scored: bool) -> float:
    """Return the processor time that a rung is expected to take."""
    return sum(work.cpu_seconds for work in title.work(film, rung) if scored or work.kind != "score")


def _planning_seconds(film: Film, encoder: str, *, per_shot: bool) -> float:
    """Return the processor time that planning is expected to take: the search for cuts and the probes."""
    probes = probes_of(film, encoder, per_shot=per_shot)
    search = DETECT.cost(Search(film.source, film.facts)).cpu_seconds
    return search + sum(PROBE.cost(probe).cpu_seconds for group in probes for probe in group)
