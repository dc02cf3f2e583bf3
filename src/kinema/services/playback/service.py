"""Starting and renewing plays.

A play binds an account to one version of an asset for as long as it is renewed. Its row is durable before the client
hears of it, so that garbage collection can never miss a token that is out. Renewing moves the row's expiry first and
looks whether the version is still stored after that, for the same reason.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

from kinema.core import media_token
from kinema.core.clock import Clock
from kinema.core.errors import Forbidden, Gone, NotFound, Unavailable
from kinema.core.identity import Identity
from kinema.core.ids import check_id, new_id
from kinema.core.keys import KeyRing
from kinema.core.media_token import MediaToken
from kinema.model.catalog import Title
from kinema.model.encoding import Manifest
from kinema.model.playback import (
    Device,
    IssuedLicences,
    Leases,
    ManifestAddresses,
    Play,
    PlayCounts,
    PlayRequest,
    TitlePlays,
)
from kinema.services.playback import dash, hls, navigation
from kinema.services.playback.addresses import Origin, edge_addresses, in_order, manifest_base
from kinema.services.playback.calls import Calls, Directory
from kinema.services.playback.manifests import Manifests
from kinema.services.playback.repository import PlayRepository, PlayRow
from kinema.services.playback.selection import select

LONGEST_PLAY_SECONDS = 24 * 3600.0
"""A play cannot be renewed for longer than this; the player starts a new one."""

LICENCES_KEPT_SECONDS = 366 * 24 * 3600.0
"""For how long it is known who was given which keys."""

HLS_NAME = "hls.m3u8"
DASH_NAME = "dash.mpd"
LICENCE_NAME = "licence"
_PLAYLIST = ".m3u8"
_ANY_DEVICE = Device()


class Playback:
    """Plays and the manifest texts that belong to them."""

    def __init__(
        self,
        repository: PlayRepository,
        manifests: Manifests,
        keys: KeyRing,
        clock: Clock,
        calls: Calls,
        directory: Directory,
        token_seconds: int,
    ) -> None:
        self._repository = repository
        self._manifests = manifests
        self._keys = keys
        self._clock = clock
        self._calls = calls
        self._directory = directory
        self._token_seconds = token_seconds

    async def start(self, identity: Identity, request: PlayRequest, origin: Origin) -> Play:
        """Start a play of a published title.

        Raises NotFound when the title is not published, Unsupported when the device decodes none of its codecs, and
        Unavailable when its manifest cannot be read.
        """
        check_id(request.title_id, "ttl")
        title = await self._calls.call(
            "catalog", "GET", f"/v1/titles/{request.title_id}", type=Title, identity=identity
        )
        try:
            manifest = await self._manifests.get(title.asset, title.manifest_version)
        except NotFound as error:
            raise Unavailable(f"The manifest of {title.title!r} is missing; publish the title again.") from error
        select(manifest, request.device)
        row = PlayRow(
            play_id=new_id("ply", self._clock),
            account=identity.account,
            title_id=request.title_id,
            asset=title.asset,
            version=title.manifest_version,
            device=request.device,
            started_at=self._clock.now(),
            expires_at=self._expiry(),
        )
        await self._repository.add(row)
        return await self._play(row, row.expires_at, origin)

    async def renew(self, identity: Identity, play_id: str, origin: Origin) -> Play:
        """Give a play a new token for the version that it started with.

        Raises NotFound for an unknown play, Forbidden when it is another account's, and Gone when it is over: older than
        a day, or its version was collected after the last token had expired.
        """
        row = await self._repository.get(check_id(play_id, "ply"))
        if row.account != identity.account and identity.role == "viewer":
            raise Forbidden("This play was started by another account; start your own.")
        if self._clock.now() - row.started_at > LONGEST_PLAY_SECONDS:
            raise Gone("This play was started more than a day ago; start a new one.")
        expires_at = self._expiry()
        await self._repository.extend(play_id, expires_at)
        if not await self._manifests.stored(row.asset, row.version):
            raise Gone("The version that this play began with is no longer stored; start a new play.")
        return await self._play(row, expires_at, origin)

    async def text(
        self, token: str, asset: str, version: int, name: str, device: Device, origin: Origin
    ) -> tuple[str, str, int]:
        """Return the text called `name` for the bearer of a token, its media type, and how many seconds it stays valid.

        Raises Forbidden for a token that is not ours, expired or another asset's, and NotFound for an unknown name.
        """
        now = self._clock.now()
        granted = media_token.unseal(token, self._keys, asset, now)
        manifest = await self._manifests.get(asset, version)
        text, media_type = self._write(manifest, token, name, device, origin, self._edges(asset, origin))
        return text, media_type, int(granted.expires_at - now)

    async def preview(self, asset: str, version: int, name: str) -> str:
        """Return a text of a stored version for a device that plays everything. Raises NotFound."""
        nowhere = Origin("http", "preview.invalid", "")
        manifest = await self._manifests.get(asset, version)
        return self._write(manifest, "preview", name, _ANY_DEVICE, nowhere, lambda: (str(nowhere),))[0]

    async def leases(self) -> Leases:
        """Return which versions are in use, and until when."""
        return Leases(leases=await self._repository.leases(self._clock.now()))

    async def licences(self, asset: str, before: str, limit: int) -> IssuedLicences:
        """Return a page of the licences that were given for an asset."""
        found = await self._repository.licences(asset, before, limit + 1)
        following = found[limit - 1].licence_id if len(found) > limit else None
        return IssuedLicences(licences=found[:limit], next_before=following)

    async def counts(self) -> PlayCounts:
        """Return how often each title was played in the time that is remembered."""
        oldest, titles = await self._repository.counts()
        days = max(self._clock.now() - oldest, 1.0) / 86400 if oldest is not None else 0.0
        return PlayCounts(days=days, titles=tuple(TitlePlays(title_id, plays) for title_id, plays in titles))

    async def collect(self) -> int:
        """Forget the plays that can no longer be renewed, and licences of long ago; return how many plays there were."""
        await self._repository.forget_licences(self._clock.now() - LICENCES_KEPT_SECONDS)
        return await self._repository.forget(self._clock.now() - LONGEST_PLAY_SECONDS)

    def _edges(self, asset: str, origin: Origin) -> Callable[[], tuple[str, ...]]:
        return lambda: in_order(edge_addresses(self._directory.instances("edge"), origin), asset)

    def _write(
        self,
        manifest: Manifest,
        token: str,
        name: str,
        device: Device,
        origin: Origin,
        find_edges: Callable[[], tuple[str, ...]],
    ) -> tuple[str, str]:
        if name == HLS_NAME:
            return hls.multivariant(manifest, device), hls.MEDIA_TYPE
        edges = find_edges()
        if name == DASH_NAME:
            licence = manifest_base(origin, token, manifest.asset, manifest.version) + LICENCE_NAME
            return dash.mpd(manifest, device, edges, token, licence), dash.MEDIA_TYPE
        if name in {navigation.CHAPTERS_VTT, hls.CHAPTERS_NAME} and manifest.chapters:
            if name == hls.CHAPTERS_NAME:
                return navigation.chapters_json(manifest.chapters), navigation.JSON_TYPE
            return navigation.chapters_vtt(manifest.chapters), navigation.VTT_TYPE
        sheets = select(manifest, device).images
        if name == navigation.THUMBNAILS_VTT and sheets:
            return navigation.thumbnails_vtt(manifest, sheets, edges[0], token), navigation.VTT_TYPE
        if name == hls.IMAGES_NAME and sheets:
            return hls.images(manifest, sheets, edges[0], token), hls.MEDIA_TYPE
        return self._playlist(manifest, name, edges[0], token), hls.MEDIA_TYPE

    def _playlist(self, manifest: Manifest, name: str, edge: str, token: str) -> str:
        if name.endswith(hls.I_FRAMES):
            rung = manifest.track(name.removesuffix(hls.I_FRAMES))
            if rung is not None and rung.kind == "video":
                return hls.i_frames(manifest, rung, edge, token)
        track = manifest.track(name.removesuffix(_PLAYLIST)) if name.endswith(_PLAYLIST) else None
        if track is None or track.kind == "image":
            raise NotFound(f"There is no text {name[:60]!r} here; begin at {HLS_NAME} or {DASH_NAME}.")
        write = hls.subtitles if track.codec == "vtt" else hls.media
        return write(manifest, track, edge, token)

    def _expiry(self) -> int:
        return int(self._clock.now()) + self._token_seconds

    async def _play(self, row: PlayRow, expires_at: int, origin: Origin) -> Play:
        manifest = await self._manifests.get(row.asset, row.version)
        token = media_token.seal(MediaToken(row.asset, row.account, expires_at, row.play_id), self._keys)
        base = manifest_base(origin, token, row.asset, row.version)
        query = _device_query(row.device)
        return Play(
            play_id=row.play_id,
            title_id=row.title_id,
            version=row.version,
            manifest=ManifestAddresses(hls=f"{base}{HLS_NAME}{query}", dash=f"{base}{DASH_NAME}{query}"),
            expires_at=datetime.fromtimestamp(expires_at, UTC).isoformat().replace("+00:00", "Z"),
            renew_after_seconds=self._token_seconds * 2 // 3,
            chapters=manifest.chapters,
            markers=manifest.markers,
        )


def _device_query(device: Device) -> str:
    parts: dict[str, str] = {}
    if device.max_height != _ANY_DEVICE.max_height:
        parts["max_height"] = str(device.max_height)
    if device.codecs:
        parts["codecs"] = ",".join(device.codecs)
    return f"?{urlencode(parts, safe=',')}" if parts else ""
