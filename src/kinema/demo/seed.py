"""Put the demo catalogue into a region, through the same public API that any operator's script has.

The first film goes all the way first, since somebody is waiting to press play. Then, one title after another: details,
file (rendered if it is not in the cache), upload, artwork; meanwhile the region encodes, which is followed and shown.
Every step asks first whether it has been done, so a killed run is simply started again, and an operator's own changes
to a demo title stay: details are written only where there are none, withdrawn titles are not put back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from kinema.core.clock import Clock, SystemClock
from kinema.demo.catalogue import Item, items
from kinema.demo.display import Board, Lines, Progress
from kinema.demo.region import Region, Token
from kinema.http.client import Client
from kinema.model.encoding import Job

_ALIVE = ("queued", "running")
_T = TypeVar("_T")


async def run(
    base_url: str,
    token: Token,
    data_dir: Path,
    progress: Progress | None = None,
    *,
    catalogue: tuple[Item, ...] | None = None,
    clock: Clock | None = None,
) -> None:
    """Put every demo title in and follow the encoding to its end.

    The first film is rendered at once, while the region may still be starting; the others at nice 19. Raises
    RegionRefused when the region stays away or refuses. Cancelling stops rendering within a frame.
    """
    client = Client()
    clock = clock or SystemClock()
    region = Region(base_url, token, client, clock=clock)
    try:
        async with contextlib.AsyncExitStack() as stack:
            shown = progress or stack.enter_context(_display())
            studio = await stack.enter_async_context(_studio())
            await _Seeding(region, studio, data_dir / "render-cache", shown, clock).run(catalogue or items())
    finally:
        await client.close()


def _display() -> contextlib.AbstractContextManager[Progress]:
    return Board() if os.isatty(2) else contextlib.nullcontext(Lines())


class _Studio:
    """Where blocking work is done: one thread for the first film, one of the lowest priority for all else."""

    def __init__(self, eager: Executor, patient: Executor) -> None:
        self.stop = threading.Event()
        self._eager = eager
        self._patient = patient

    async def work(self, task: Callable[[], _T], *, eager: bool = False) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._eager if eager else self._patient, task)


@contextlib.asynccontextmanager
async def _studio() -> AsyncIterator[_Studio]:
    # On Linux, niceness belongs to a thread and is inherited by the ffmpeg that it starts; the event loop keeps its own.
    with ThreadPoolExecutor(1) as eager, ThreadPoolExecutor(1, initializer=os.nice, initargs=(19,)) as patient:
        studio = _Studio(eager, patient)
        try:
            yield studio
        finally:
            studio.stop.set()


class _Seeding:
    def __init__(self, region: Region, studio: _Studio, cache: Path, progress: Progress, clock: Clock) -> None:
        self._region = region
        self._studio = studio
        self._cache = cache
        self._progress = progress
        self._clock = clock

    async def run(self, catalogue: tuple[Item, ...]) -> None:
        first, *others = catalogue
        self._cache.mkdir(parents=True, exist_ok=True)
        async with asyncio.TaskGroup() as tasks:
            file = tasks.create_task(self._file(first, eager=True))
            tasks.create_task(self._region.wait_ready())
        following = asyncio.create_task(self._follow(catalogue))
        try:
            await self._put(first, await file, patient=True)
            for item in others:
                await self._put(item, None)
            await self._until_idle(catalogue)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _file(self, item: Item, *, eager: bool = False) -> Path:
        loop = asyncio.get_running_loop()

        def tell(done: int, total: int) -> None:
            if done % 12 == 0 or done == total:
                loop.call_soon_threadsafe(self._progress.update, item.details.title, "rendering", done / total)

        return await self._studio.work(lambda: item.source(self._cache, tell, self._studio.stop), eager=eager)

    async def _put(self, item: Item, file: Path | None, *, patient: bool = False) -> None:
        """Bring one title to the point where the region does the rest; `patient`: paint no artwork before it plays."""
        told = item.details.title
        title = await self._region.title(item.title_id)
        known = title is not None or await self._region.has_details(item.title_id)
        ledger = self._cache / f"{item.slug}.artwork"
        if title is not None and title.complete and ledger.exists():
            self._progress.update(told, "ready", 1.0)
            return
        if not known:
            await self._region.put_details(item.title_id, item.details)
        job = await self._job(item)
        if job is None and title is None:
            await self._upload(item, file or await self._file(item))
        elif job is not None and job.state == "failed":
            await self._region.retry(job.id)
        if patient:
            await self._until_it_plays(item)
        if not ledger.exists():
            for kind, paint in item.pictures:
                await self._region.put_artwork(item.title_id, kind, await self._studio.work(paint))
            ledger.touch()

    async def _until_it_plays(self, item: Item) -> None:
        """Leave the processors to the region until the first film can be played, or will not be."""
        while await self._region.title(item.title_id) is None:
            job = await self._job(item)
            if job is None or job.state not in _ALIVE:
                return
            await self._clock.sleep(0.25)

    async def _job(self, item: Item) -> Job | None:
        return next((job for job in await self._region.jobs() if job.title_id == item.title_id), None)

    async def _upload(self, item: Item, file: Path) -> None:
        """Send the file, going on with an upload that an earlier run had begun."""
        begun = self._cache / f"{item.slug}.upload"
        upload = begun.read_text().strip() if begun.exists() else ""

        def tell(done: int, total: int) -> None:
            self._progress.update(item.details.title, "uploading", done / total)

        while not (upload and await self._region.send(upload, file, tell)):
            upload = await self._region.create_upload(file, item.details.title, item.title_id)
            begun.write_text(upload + "\n")
        begun.unlink(missing_ok=True)
        self._progress.update(item.details.title, "waiting", 0.0)

    async def _follow(self, catalogue: tuple[Item, ...]) -> None:
        """Show how the region's jobs get on, once a second."""
        while True:
            await self._look(catalogue)
            await self._clock.sleep(1.0)

    async def _look(self, catalogue: tuple[Item, ...]) -> bool:
        """Show the jobs of demo titles; returns whether one is still to be done."""
        titles = {item.title_id: item.details.title for item in catalogue}
        busy = False
        for job in reversed(await self._region.jobs()):
            if job.title_id in titles:
                busy |= job.state in _ALIVE
                self._progress.update(titles[job.title_id], *_phase(job))
        return busy

    async def _until_idle(self, catalogue: tuple[Item, ...]) -> None:
        while await self._look(catalogue):
            await self._clock.sleep(1.0)


def _phase(job: Job) -> tuple[str, float, float | None]:
    """What to show of a job: phase, share, seconds left."""
    match job.state:
        case "done":
            return "ready", 1.0, None
        case "failed":
            return f"failed: {job.error}", job.progress, None
        case "running" if any(rung.state == "published" for rung in job.rungs):
            return "plays, encoding", job.progress, job.eta_seconds
        case "running":
            return "encoding", job.progress, job.eta_seconds
        case _:
            return job.state, job.progress, None
