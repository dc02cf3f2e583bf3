"""What `playback` tells the others: a started play."""

from typing import Annotated

import msgspec

from kinema.model.encoding import Chapter, Marker

CodecFamily = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9-]{1,16}$")]


class Device(msgspec.Struct, frozen=True):
    """What the player can show. An empty `codecs` means every codec; each entry is the first part of an RFC 6381 name ("avc1")."""

    max_height: Annotated[int, msgspec.Meta(ge=1, le=16384)] = 4320
    codecs: Annotated[tuple[CodecFamily, ...], msgspec.Meta(max_length=16)] = ()


class PlayRequest(msgspec.Struct, frozen=True):
    """What a client sends to start a play."""

    title_id: str
    device: Device = msgspec.field(default_factory=Device)


class ManifestAddresses(msgspec.Struct, frozen=True):
    """Absolute addresses of the manifest texts; they carry their own token."""

    hls: str
    dash: str


class Play(msgspec.Struct, frozen=True):
    """A started play. `expires_at` is an ISO 8601 time in UTC; renew when `renew_after_seconds` have passed.

    `chapters` have names to jump to, `markers` are what viewers may want to skip.
    """

    play_id: str
    title_id: str
    version: int
    manifest: ManifestAddresses
    expires_at: str
    renew_after_seconds: int
    chapters: tuple[Chapter, ...] = ()
    markers: tuple[Marker, ...] = ()


class ManifestText(msgspec.Struct, frozen=True):
    """A text as players will get it, for whoever checks a version before it is announced."""

    text: str


class Lease(msgspec.Struct, frozen=True):
    """A version of an asset that some token still names, until `expires_at` (Unix seconds)."""

    asset: str
    version: int
    expires_at: int


class Leases(msgspec.Struct, frozen=True):
    """Every version that is in use."""

    leases: tuple[Lease, ...]


class IssuedLicence(msgspec.Struct, frozen=True):
    """Keys of a protected title, by their ids, that a play was given; `issued_at` is in Unix seconds."""

    licence_id: str
    play_id: str
    account: str
    asset: str
    version: int
    key_ids: tuple[str, ...]
    issued_at: float


class IssuedLicences(msgspec.Struct, frozen=True):
    """A page of licences, newest first; `next_before` begins the next one, None on the last page."""

    licences: tuple[IssuedLicence, ...]
    next_before: str | None = None


class TitlePlays(msgspec.Struct, frozen=True):
    """How often a title was played."""

    title_id: str
    plays: int


class PlayCounts(msgspec.Struct, frozen=True):
    """The plays of the last `days`, by title; titles that were not played are left out."""

    days: float
    titles: tuple[TitlePlays, ...]


class Collected(msgspec.Struct, frozen=True):
    """How many things a garbage collection has deleted."""

    deleted: int
