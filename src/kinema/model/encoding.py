"""What `encoding` tells the others: the manifest of an asset's version, and the state of jobs."""

from typing import Annotated, Literal

import msgspec

TrackKind = Literal["video", "audio", "text", "image"]
Role = Literal["dub", "commentary", "description", "caption", "forced-subtitle"]
MarkerKind = Literal["recap", "intro", "credits"]
JobState = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
JobPriority = Literal["premiere", "normal", "background"]
RungState = Literal["waiting", "encoding", "published", "failed"]


_FILES = {"vtt": ("text/vtt", ".vtt"), "jpeg": ("image/jpeg", ".jpg")}  # tracks that are no MP4, by codec
ENDINGS = (".mp4", ".vtt", ".jpg")
"""What a track's file name may end in; no part of the track's own name."""


class ByteRange(msgspec.Struct, frozen=True):
    """Bytes of a track's file, from `offset`, `length` of them."""

    offset: int
    length: int


class Segment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One media segment (moof + mdat) of a track: where it is, how long it plays (ticks of the track's timescale), its SHA-256.

    Of pictures it also says how good they look (mean VMAF, 0 to 100; 0: nobody measured it) and how many bytes from its start
    reach to the end of its first picture, which is all that a player needs to show that one (0: not told).
    """

    offset: int
    length: int
    duration: int
    digest: str
    vmaf: float = 0.0
    keyframe: int = 0


class Tiles(msgspec.Struct, frozen=True):
    """The grid of a sheet of small pictures: read row by row, each stands for `seconds` of the film and has this size in pixels."""

    columns: int
    rows: int
    width: int
    height: int
    seconds: float


class Track(msgspec.Struct, frozen=True):
    """One file that is fetched as a whole or by byte range; a video track is a rung of the ladder.

    Pictures, sound and text with the codec "wvtt" are fragmented MP4 with one elementary stream. Text with the codec "vtt" is a
    WebVTT file and an image with the codec "jpeg" a sheet of `tiles`; both have one segment and neither `init` nor `index`.

    `codec` is the RFC 6381 name, `bandwidth` the peak and `average_bandwidth` the mean in bits per second, `digest` the
    SHA-256 of the whole file, which is also its name among the blobs. `key_id` names the key that it is encrypted with (32
    hexadecimal digits; empty: it is not), always from the same `initialization_vector` (the same). `video_range` is
    "SDR", "HLG" or "PQ" (empty: SDR). `roles` are DASH's names for what a track is for beyond the usual:
    "caption" is text for people who cannot hear, "forced-subtitle" translates what is not in the film's own language and is shown always.
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
    video_range: str = ""
    key_id: str = ""
    initialization_vector: str = ""
    roles: tuple[Role, ...] = ()
    tiles: Tiles | None = None

    @property
    def media_type(self) -> str:
        """The MIME type of the file."""
        return _FILES.get(self.codec, (f"{self.kind if self.kind != 'text' else 'application'}/mp4", ""))[0]

    @property
    def file_name(self) -> str:
        """What the file is called where it is served: the track's name and an ending by which players know its type."""
        return self.name + _FILES.get(self.codec, ("", ".mp4"))[1]


class Chapter(msgspec.Struct, frozen=True):
    """A part of a film that has a name; times are seconds from the film's start."""

    start_seconds: float
    end_seconds: float
    title: str


class Marker(msgspec.Struct, frozen=True):
    """A part of a film that viewers may want to skip; times are seconds from the film's start."""

    kind: MarkerKind
    start_seconds: float
    end_seconds: float


class Protection(msgspec.Struct, frozen=True):
    """How a version is encrypted: the scheme of ISO/IEC 23001-7, and the ids of all keys that its tracks use. Never a key."""

    scheme: Literal["cbcs"]
    key_ids: tuple[str, ...]


class Manifest(msgspec.Struct, frozen=True):
    """An immutable version of an asset: everything that playback and edge need to serve it. Adding a rung makes a new version.

    `quality_model` names the VMAF model of the segments' scores (empty: there are none). Manifests that were stored before a
    field was added are read with its default.
    """

    asset: str
    version: int
    title_id: str
    duration_seconds: float
    created_at: float
    tracks: tuple[Track, ...]
    chapters: tuple[Chapter, ...] = ()
    markers: tuple[Marker, ...] = ()
    protection: Protection | None = None
    quality_model: str = ""

    def track(self, name: str) -> Track | None:
        """Return the track with this name, or None."""
        return next((track for track in self.tracks if track.name == name), None)


class RungProgress(msgspec.Struct, frozen=True):
    """A rung of a running job: its state, and the share of its frames that is done (0 to 1)."""

    name: str
    state: RungState
    progress: float


class Job(msgspec.Struct, frozen=True):
    """An encoding job as people see it. `seconds` is the working time so far, `eta_seconds` the estimate of what is left.

    `cpu_seconds` is the processor time that it has used; at `most_cpu_seconds` it is paused (None: no limit). `error` says why
    it failed or was paused. `codec` is what a backfill adds (empty: the job makes a whole film).
    """

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
    priority: JobPriority = "normal"
    cpu_seconds: float = 0.0
    most_cpu_seconds: float | None = None
    codec: str = ""


class JobChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be changed of a job that has not ended; what is left out stays as it is.

    `paused` stops it behind the step at hand, or lets it go on. `most_cpu_seconds` None takes the limit away.
    """

    priority: JobPriority | msgspec.UnsetType = msgspec.UNSET
    paused: bool | msgspec.UnsetType = msgspec.UNSET
    most_cpu_seconds: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | msgspec.UnsetType | None = msgspec.UNSET


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
