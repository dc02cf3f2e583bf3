"""Encoding without a service: a directory that holds a film's steps, so that it can be made there and gone on with at any time.

    DIR/steps/   the ledger (SQLite), the blobs, the files on the way; it may be deleted once the film is made
    DIR/*.mp4    the finished tracks
    DIR/manifest.json, DIR/plan.json   what playback needs of them, and how they came to be

Any number of runs may use one directory, one after another or at the same time: they share what each has finished.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import BadInput
from kinema.core.ids import new_id
from kinema.model.encoding import Manifest, encode_manifest
from kinema.services.encoding.allocation.rungs import PlannedRung
from kinema.services.encoding.execution.engines import open_executor
from kinema.services.encoding.execution.machine import this_machine
from kinema.services.encoding.execution.steps import StepEvent, Steps
from kinema.services.encoding.execution.work import Context
from kinema.services.encoding.ledger import Ledger
from kinema.services.encoding.pipeline import Pipeline
from kinema.services.encoding.scratch import Scratch
from kinema.services.encoding.title import PlannedWork, Title
from kinema.services.encoding.tools import find_tools
from kinema.services.encoding.verification import verify_presentation
from kinema.storage.content import store
from kinema.storage.engines import open_blobs, open_sql


class Plan(msgspec.Struct, frozen=True):
    """What is to be made of a film: its rungs, and the work that they take."""

    frame_rate: str
    frames: int
    shots: int
    segments: int
    rungs: tuple[PlannedRung, ...]
    work: tuple[PlannedWork, ...]


class Workspace:
    """A directory in which one film is made."""

    def __init__(self, directory: Path, context: Context, steps: Steps, title: Title, digest: str) -> None:
        self.steps = steps
        self.title = title
        self._directory = directory
        self._context = context
        self._digest = digest

    async def publish(self, manifest: Manifest, plan: Plan) -> None:
        """Write the finished tracks and what there is to know of them beside the steps. Raises NotVerified when they are no presentation."""
        verify_presentation(manifest.tracks)
        for track in manifest.tracks:
            made = await self._context.fetch("media", track.digest)
            await asyncio.to_thread(_place, made, self._directory / track.file_name)
        _write(self._directory / "plan.json", msgspec.json.format(msgspec.json.encode(plan)))
        _write(self._directory / "manifest.json", encode_manifest(manifest))

    def asset(self) -> str:
        """Return the name of the film, which follows from its bytes."""
        return f"film-{self._digest[:16]}"


@asynccontextmanager
async def open_workspace(
    film: Path,
    directory: Path,
    clock: Clock,
    notice: Callable[[StepEvent], None],
    *,
    threads: int | None = None,
    scheduler: str = "",
) -> AsyncIterator[Workspace]:
    """Open a directory for a film, made when missing. `threads` bounds what runs here at a time; `scheduler` names Dask's instead.

    Raises BadInput when the film cannot be read, and what the engines raise.
    """
    if not await asyncio.to_thread(film.is_file):
        raise BadInput(f"There is no file {film}; name the film that is to be encoded.")
    steps_directory = directory / "steps"
    await asyncio.to_thread(steps_directory.mkdir, parents=True, exist_ok=True)
    tools = await asyncio.to_thread(find_tools)
    blobs = open_blobs(steps_directory)
    sql = open_sql(steps_directory, "", "encoding")
    own = steps_directory / "scratch" / f"run-{os.getpid()}"
    scratch = await asyncio.to_thread(Scratch, own)
    try:
        await sql.migrate("encoding")
        digest = await store(blobs, "sources", film)
        context = Context(tools, blobs, own)
        machine = this_machine()
        if threads is not None:
            machine = msgspec.structs.replace(machine, threads=threads)
        executor = await open_executor(scheduler, context, machine)
        try:
            ledger = Ledger(sql, blobs, clock)
            steps = Steps(digest, ledger, executor, tools.versions, notice)
            pipeline = Pipeline(await context.film(digest), digest, ledger, blobs, tools, own, 1)
            yield Workspace(directory, context, steps, Title(digest, steps, pipeline), digest)
        finally:
            await executor.close()
    finally:
        await sql.close()
        await asyncio.to_thread(scratch.release)


def _place(made: Path, target: Path) -> None:
    """Put a finished file under its name, without a second copy where the file system allows that."""
    temporary = target.with_name(f".{new_id('tmp')}")
    try:
        os.link(made, temporary)
    except OSError:
        shutil.copyfile(made, temporary)
    temporary.replace(target)
    temporary.unlink(missing_ok=True)  # renaming one name of a file to another of it does nothing


def _write(path: Path, body: bytes) -> None:
    temporary = path.with_name(f".{new_id('tmp')}")
    with temporary.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
