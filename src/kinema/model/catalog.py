"""What `catalog` tells the others: titles, the home page, published versions."""

from typing import Literal

import msgspec

ArtworkKind = Literal["poster", "billboard"]


class TitleDetails(msgspec.Struct, frozen=True):
    """What people write about a title. `shelf` is the row of the home page on which it stands."""

    title: str
    synopsis: str = ""
    year: int | None = None
    genres: tuple[str, ...] = ()
    shelf: str = "New"
    credits: str = ""


class RungFact(msgspec.Struct, frozen=True):
    """A rung that can be played, as the title page shows it."""

    name: str
    width: int
    height: int
    codec: str
    average_bandwidth: int


class Publication(msgspec.Struct, frozen=True):
    """What encoding announces: this version of this asset plays. `complete` when no more rungs will join.

    `title` names the title when nobody has written details yet; `poster` is the digest of an artwork blob cut from the film.
    """

    asset: str
    manifest_version: int
    duration_seconds: float
    rungs: tuple[RungFact, ...]
    complete: bool
    title: str
    poster: str = ""


class Recall(msgspec.Struct, frozen=True):
    """A version of an asset that must not be played, nor those before it; `reason` says why, in a sentence for operators."""

    asset: str
    manifest_version: int
    reason: str


class Withdrawal(msgspec.Struct, frozen=True):
    """A title that was taken off the programme and is not back; `withdrawn_at` is ISO 8601 in UTC."""

    title_id: str
    title: str
    asset: str
    manifest_version: int
    reason: str
    withdrawn_at: str


class Withdrawals(msgspec.Struct, frozen=True):
    """The titles that are off, the latest first."""

    withdrawals: tuple[Withdrawal, ...]


class Title(msgspec.Struct, frozen=True):
    """A published title. `poster` and `billboard` are paths of artwork or empty; times are ISO 8601 in UTC."""

    title_id: str
    title: str
    synopsis: str
    year: int | None
    genres: tuple[str, ...]
    shelf: str
    credits: str
    asset: str
    manifest_version: int
    duration_seconds: float
    rungs: tuple[RungFact, ...]
    complete: bool
    poster: str
    billboard: str
    published_at: str


class TitlePage(msgspec.Struct, frozen=True):
    """A page of titles, newest first; `next_cursor` is None on the last page."""

    titles: tuple[Title, ...]
    next_cursor: str | None = None


class Row(msgspec.Struct, frozen=True):
    """A named row of the home page."""

    name: str
    titles: tuple[Title, ...]


class Home(msgspec.Struct, frozen=True):
    """The home page: the title on the billboard (None when there is none yet) and the rows."""

    version: int
    billboard: Title | None
    rows: tuple[Row, ...]


class CatalogVersion(msgspec.Struct, frozen=True):
    """The published version that readers serve, and whether an operator has pinned it."""

    version: int
    pinned: bool


class TitleChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some of a title's details; what is left out stays as it is."""

    title: str | msgspec.UnsetType = msgspec.UNSET
    synopsis: str | msgspec.UnsetType = msgspec.UNSET
    year: int | msgspec.UnsetType | None = msgspec.UNSET
    genres: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    shelf: str | msgspec.UnsetType = msgspec.UNSET
    credits: str | msgspec.UnsetType = msgspec.UNSET


class Authored(msgspec.Struct, frozen=True):
    """What a change to a title has led to: `catalog_version` is the version that shows it, None while nothing is published."""

    title_id: str
    details: TitleDetails
    catalog_version: int | None


class Published(msgspec.Struct, frozen=True):
    """A title's publication is in this version of the catalogue and in all later ones."""

    title_id: str
    catalog_version: int


class ArtworkStored(msgspec.Struct, frozen=True):
    """A stored picture: its path, what its bytes say it is, its dimensions in pixels."""

    path: str
    media_type: str
    width: int
    height: int
    catalog_version: int | None


class Pin(msgspec.Struct, frozen=True):
    """The catalogue version that readers shall serve from now on; None: the newest again."""

    version: int | None


class KeptVersion(msgspec.Struct, frozen=True):
    """A version that can be pinned. `created_at` is ISO 8601 in UTC."""

    version: int
    created_at: str
    titles: int


class KeptVersions(msgspec.Struct, frozen=True):
    """The versions that can be pinned, the newest first."""

    versions: tuple[KeptVersion, ...]


class AssetVersion(msgspec.Struct, frozen=True):
    """A version of an asset's manifest."""

    asset: str
    version: int


class AssetVersions(msgspec.Struct, frozen=True):
    """Every manifest version that the catalogue refers to: published now, or in a kept snapshot."""

    versions: tuple[AssetVersion, ...]


class CatalogCollected(msgspec.Struct, frozen=True):
    """How many snapshots and pictures a garbage collection has deleted."""

    snapshots: int
    artwork: int


class PublishedTitle(msgspec.Struct, frozen=True):
    """A title as a version of the catalogue has it, for what works on all of them.

    `codecs` are the first parts of its rungs' RFC 6381 names ("avc1"), `pixels` those of a picture of all rungs together,
    `bits_per_second` the mean of the rungs.
    """

    title_id: str
    title: str
    asset: str
    manifest_version: int
    duration_seconds: float
    complete: bool
    codecs: tuple[str, ...]
    pixels: int
    bits_per_second: float


class PublishedTitles(msgspec.Struct, frozen=True):
    """All titles of a version of the catalogue."""

    catalog_version: int
    titles: tuple[PublishedTitle, ...]
