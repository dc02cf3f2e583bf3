"""What `encoding` tells about roll-outs of a codec over the titles that are there already."""

from typing import Annotated, Literal

import msgspec

BackfillCodec = Literal["av1", "hevc"]
BackfillState = Literal["running", "paused", "done", "rolled back"]
TitleId = Annotated[str, msgspec.Meta(pattern="^ttl_[0-9a-z]{26}$")]

MOST_TITLES = 10_000


class BackfillRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to roll out: a codec, on these titles (none: on all that lack it).

    With `worthwhile` only titles whose saving is worth its price at how they are watched; `most_cpu_seconds` limits each title.
    """

    codec: BackfillCodec
    title_ids: Annotated[tuple[TitleId, ...], msgspec.Meta(max_length=MOST_TITLES)] = ()
    worthwhile: bool = False
    most_cpu_seconds: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None


class Backfill(msgspec.Struct, frozen=True):
    """A roll-out as it stands. `titles` is how many it has in all, `done` and `failed` (cancelled too) those that have ended.

    `before_bytes` are all bytes of the rungs of the titles done that others now stand for, `saved_bytes` what the new ones need
    less at the same quality; `cpu_seconds` is the processor time spent. `catalog_version` was served when it began.
    """

    id: str
    codec: BackfillCodec
    state: BackfillState
    titles: int
    done: int
    failed: int
    before_bytes: int
    saved_bytes: int
    cpu_seconds: float
    catalog_version: int
    created_at: float


class Backfills(msgspec.Struct, frozen=True):
    """The latest roll-outs, newest first."""

    backfills: tuple[Backfill, ...]


class BackfillChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pause a roll-out, or let it go on."""

    paused: bool


class BackfillRollback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Serve its titles again as this version of the catalogue had them (None: the version from before the roll-out)."""

    catalog_version: Annotated[int, msgspec.Meta(ge=1)] | None = None


class RolledBack(msgspec.Struct, frozen=True):
    """How many titles are served again as they were, and how many jobs were cancelled on the way."""

    titles: int
    cancelled: int
