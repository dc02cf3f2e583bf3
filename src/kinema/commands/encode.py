"""`kinema encode FILE -o DIR`: make a film's tracks in a directory, without a region. Run again, it goes on where it was."""

import asyncio
import contextlib
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from kinema.core import log
from kinema.core.clock import SystemClock
from kinema.model.encoding import Manifest
from kinema.services.encoding.execution.steps import StepEvent
from kinema.services.encoding.title import fixed_rungs, model_of
from kinema.services.encoding.workspace import Plan, Workspace, open_workspace

Notice = Callable[[StepEvent], None]


def encode(
    file: Path, output: Path, codecs: tuple[str, ...], threads: int | None, *, plan: bool, as_json: bool
) -> None:
    """Encode a film in a directory of its own, or only say what is to be done (`plan`)."""
    log.configure(json=False, level=30)
    with _progress(as_json=as_json) as progress:
        asyncio.run(_run(file, output.absolute(), codecs, threads, progress, only_plan=plan))


async def _run(
    file: Path,
    output: Path,
    codecs: tuple[str, ...],
    threads: int | None,
    progress: "_Progress",
    *,
    only_plan: bool,
) -> None:
    clock = SystemClock()
    async with open_workspace(file, output, clock, progress.step, threads=threads) as workspace:
        title = workspace.title
        facts = await title.facts()
        film = await title.film(facts)
        rungs = tuple(rung for name in codecs for rung in fixed_rungs(facts, name))
        plan = Plan(
            frame_rate=film.facts.frame_rate,
            frames=film.timeline.frames,
            shots=len(film.timeline.shots),
            segments=len(film.timeline.gops),
            rungs=rungs,
            work=tuple(work for rung in rungs for work in title.work(film, rung)),
        )
        progress.planned(plan)
        if only_plan:
            return
        tracks = await title.tracks(facts, film, rungs)
        manifest = Manifest(
            asset=workspace.asset(),
            version=1,
            title_id="",
            duration_seconds=facts.duration_seconds,
            created_at=clock.now(),
            tracks=tracks,
            quality_model=model_of(rungs),
        )
        await workspace.publish(manifest, plan)
        progress.done(workspace, manifest)


class _Progress:
    """Says what happens: a bar on a terminal, JSON lines for scripts, a few sentences elsewhere."""

    def __init__(self, advance: Callable[[str, float, float], None], *, as_json: bool) -> None:
        self._advance = advance
        self._as_json = as_json
        self._total = 0.0
        self._finished = 0.0

    def step(self, event: StepEvent) -> None:
        """Take note of a step."""
        if event.event in {"found", "made"}:
            self._finished += event.cost.cpu_seconds
        if self._as_json:
            print(
                json.dumps({"step": event.kind, "event": event.event, "seconds": round(event.seconds, 3)}), flush=True
            )
        else:
            self._advance(event.kind, self._finished, self._total)

    def planned(self, plan: Plan) -> None:
        """Show what is going to be done."""
        self._total = self._finished + sum(work.cpu_seconds for work in plan.work)
        if self._as_json:
            print(json.dumps({"plan": msgspec.to_builtins(plan)}), flush=True)
            return
        seconds: defaultdict[str, float] = defaultdict(float)
        for work in plan.work:
            seconds[work.rung] += work.cpu_seconds
        print(f"{plan.frames} pictures at {plan.frame_rate}: {plan.shots} shots, {plan.segments} segments.")
        for rung in plan.rungs:
            expected = f", {rung.bits_per_second / 1000:,.0f} kbit/s, VMAF {rung.vmaf:.0f}" if rung.vmaf else ""
            cost = f"about {seconds[rung.name]:,.0f} s of a processor"
            print(f"{rung.name}: {rung.width}x{rung.height}, {rung.codec} {rung.preset}{expected}; {cost}")
            print(f"    {rung.reason}")
        total = sum(work.cpu_seconds for work in plan.work)
        print(f"In all about {total:,.0f} s of a processor.", flush=True)

    def done(self, workspace: Workspace, manifest: Manifest) -> None:
        """Show what has come of it."""
        made, found = workspace.steps.made.total(), workspace.steps.found.total()
        if self._as_json:
            print(json.dumps({"done": manifest.asset, "made": made, "found": found}), flush=True)
            return
        for track in manifest.tracks:
            print(f"{track.name}.mp4: {track.codec}, {track.average_bandwidth / 1000:,.0f} kbit/s")
        print(f"{made} steps were done now, {found} were there before.", flush=True)


@contextlib.contextmanager
def _progress(*, as_json: bool) -> Iterator[_Progress]:
    """Show a bar on a terminal; elsewhere none."""
    if as_json or not sys.stderr.isatty():
        yield _Progress(lambda _kind, _finished, _total: None, as_json=as_json)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Looking at the film", total=None)

        def advance(kind: str, finished: float, total: float) -> None:
            bar.update(task, description=kind, completed=finished, total=total or None)

        yield _Progress(advance, as_json=False)
