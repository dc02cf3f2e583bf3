"""What `encoding` tells the others: the manifest of an asset's version, and the state of jobs."""

from typing import Literal

import msgspec

TrackKind = Literal["video", "audio"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
RungState = Literal["waiting", "encoding", "published", "failed"]


class ByteRange(msgspec.Struct, frozen=True):
    """Bytes of a track's file, from `offset`, `length` of them."""

    offset: int
    length: int


class Segment(msgspec.Struct, frozen=True):
    """One media segment (moof + mdat) of a track: where it is, how long it plays (ticks of the track's timescale), its SHA-256."""

    offset: int
    length: int
    duration: int
    digest: str


class Track(msgspec.Struct, frozen=True):
    """One fragmented MP4 file with one elementary stream; a video track is a rung of the ladder.

    `codec` is the RFC 6381 name, `bandwidth` the peak and `average_bandwidth` the mean in bits per second, `digest` the
    SHA-256 of the whole file, which is also its name among the blobs.
    """

    name: str
    kind: TrackKind
    digest: str
    size: int
    codec: str
    bandwidth: int
    average_bandwidth: int
    init: ByteRange
    index: ByteRange
    timescale: int
    segments: tuple[Segment, ...]
    width: int = 0
    height: int = 0
    frame_rate: str = ""
    sample_rate: int = 0
    channels: int = 0
    language: str = "und"
    label: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """An immutable version of an asset: everything that playback and edge need to serve it. Adding a rung makes a new version."""

    asset: str
    version: int
    title_id: str
    duration_seconds: float
    created_at: float
    tracks: tuple[Track, ...]

    def track(self, name: str) -> Track | None:
        """Return the track with this name, or None."""
        return next((track for track in self.tracks if track.name == name), None)


class RungProgress(msgspec.Struct, frozen=True):
    """A rung of a running job: its state, and the share of its frames that is done (0 to 1)."""

    name: str
    state: RungState
    progress: float


class Job(msgspec.Struct, frozen=True):
    """An encoding job as people see it. `seconds` is the working time so far, `eta_seconds` the estimate of what is left."""

    id: str
    title_id: str
    upload_id: str
    title: str
    state: JobState
    step: str
    progress: float
    rungs: tuple[RungProgress, ...]
    created_at: float
    seconds: float
    eta_seconds: float | None = None
    error: str | None = None


class JobPage(msgspec.Struct, frozen=True):
    """A page of jobs, newest first; `next_cursor` is None on the last page."""

    jobs: tuple[Job, ...]
    next_cursor: str | None = None


class Collected(msgspec.Struct, frozen=True):
    """What a garbage collection has deleted: expired uploads, blobs by kind, and how many bytes all of them had."""

    uploads: int
    parts: int
    media: int
    manifests: int
    sources: int
    steps: int
    bytes: int


def manifest_key(asset: str, version: int) -> str:
    """Return the blob key under which a manifest version is stored."""
    return f"manifests/{asset}/{version}.json"


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as the JSON that is stored."""
    return msgspec.json.encode(manifest)


def decode_manifest(body: bytes) -> Manifest:
    """Read a stored manifest. Raises msgspec.DecodeError when it is not one."""
    return msgspec.json.decode(body, type=Manifest)
