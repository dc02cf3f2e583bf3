"""Kinds of work: pure functions of their parameters that any machine can run which reaches the blobs.

A kind has a name, a type of parameters and of results (frozen Structs, so both travel as JSON), a function that does it, and
two things that are told beforehand: what the work will cost, and which blobs its result is worthless without. The
function reads blobs by digest and stores what it makes under its digest; nothing else comes in or goes out. So the
same work gives the same result wherever and however often it is done, and whoever does it may be killed at any moment.

Adding a kind is one row in `KINDS`. Rows are imported when they are asked for.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from kinema.core.errors import BadInput, NotFound
from kinema.core.ids import new_id
from kinema.core.single_flight import SingleFlight
from kinema.services.encoding.tools import Tools
from kinema.storage.content import content_key, fetch, store
from kinema.storage.ports import Blobs, local_path

P = TypeVar("P", bound=msgspec.Struct)
R = TypeVar("R")

KINDS = {
    "encode-chunk": "kinema.services.encoding.chunks.encode:ENCODE_CHUNK",
    "join": "kinema.services.encoding.chunks.join:JOIN",
    "normalise": "kinema.services.encoding.chunks.mezzanine:NORMALISE",
    "detect": "kinema.services.encoding.shots.detection:DETECT",
    "probe": "kinema.services.encoding.quality.probes:PROBE",
    "score": "kinema.services.encoding.quality.vmaf:SCORE",
    "measure-sound": "kinema.services.encoding.sound.work:MEASURE_SOUND",
    "encode-sound": "kinema.services.encoding.sound.work:ENCODE_SOUND",
}
"""Where each kind of work is declared, by its name."""


class Cost(msgspec.Struct, frozen=True):
    """What a piece of work is expected to take: threads that it keeps busy, memory at its highest, processor time in all."""

    threads: int
    memory_bytes: int
    cpu_seconds: float


class Context:
    """What work finds on the machine that runs it: the programs, the blobs, and a directory for files on the way."""

    def __init__(self, tools: Tools, blobs: Blobs, scratch: Path) -> None:
        self.tools = tools
        self.blobs = blobs
        self.scratch = scratch
        self._fetching: SingleFlight[str, Path] = SingleFlight()

    async def fetch(self, prefix: str, digest: str) -> Path:
        """Return a local file with the bytes of a blob, to be read only. Raises NotFound when there is none."""
        key = content_key(prefix, digest)
        if (own := local_path(self.blobs, key)) is not None:
            return own
        copy = self.scratch / f"{prefix}-{digest}"
        return await self._fetching.run(key, lambda: fetch(self.blobs, key, copy))

    async def film(self, digest: str) -> Path:
        """Return a local file with a film: one that people sent, or what stands for it among the steps."""
        try:
            return await self.fetch("sources", digest)
        except NotFound:
            return await self.fetch("steps", digest)

    def fresh(self, suffix: str) -> Path:
        """Return the path of a new file for the work's own use; who takes it removes it."""
        return self.scratch / f"{new_id('tmp')}.{suffix}"

    async def keep(self, path: Path) -> str:
        """Store a file that was made among the steps and return its digest."""
        return await store(self.blobs, "steps", path)


@dataclass(frozen=True)
class WorkKind(Generic[P, R]):
    """A kind of work. Raise `revision` when results change although the parameters stay the same."""

    name: str
    parameters: type[P]
    result: type[R]
    run: Callable[[Context, P], Awaitable[R]]
    cost: Callable[[P], Cost]
    needs: Callable[[R], tuple[str, ...]] = lambda _: ()
    revision: int = 1


class Executor(Protocol):
    """Does work somewhere. Cancelling a call ends the work as soon as that can be done."""

    async def run(self, kind: WorkKind[P, R], parameters: P, priority: int = 0) -> R:
        """Do the work and return its result; of what waits, the highest priority goes first. Raises what the work raises."""
        ...

    async def close(self) -> None:
        """Let go of the machines; call it when nothing is under way."""
        ...


def kind_named(name: str) -> WorkKind[Any, Any]:
    """Return the kind of work with this name. Raises BadInput when there is none."""
    if name not in KINDS:
        raise BadInput(f"There is no kind of work {name!r}; run the same version of Kinema everywhere.")
    module, _, constant = KINDS[name].partition(":")
    kind: WorkKind[Any, Any] = getattr(import_module(module), constant)
    return kind
