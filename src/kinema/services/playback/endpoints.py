"""Playback's HTTP API. Manifest texts are public: the token in their path is the permission, so any player can fetch them."""

from typing import Annotated

import msgspec
from litestar import MediaType, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from kinema.core.errors import BadInput
from kinema.core.identity import Identity
from kinema.core.ids import check_id
from kinema.model.playback import (
    Collected,
    Device,
    IssuedLicences,
    Leases,
    ManifestText,
    Play,
    PlayCounts,
    PlayRequest,
)
from kinema.rpc.idempotency import Idempotency
from kinema.rpc.service import AnyRequest, needs
from kinema.services.playback.addresses import Origin, origin_of
from kinema.services.playback.licences import LicenceRequest, Licences
from kinema.services.playback.service import Playback

_SECRET = {
    "Cache-Control": "no-store",
    "Access-Control-Allow-Origin": "*",
    "X-Content-Type-Options": "nosniff",
}
_LONGEST_CACHED_SECONDS = 60  # a text may be kept, but an edge that joins should be found soon

PlayId = Annotated[str, PathParameter(description="The play's id.", schema_extra={"pattern": "^ply_[0-9a-z]{26}$"})]
LicencesBefore = Annotated[
    str, QueryParameter(max_length=40, description="Where the page begins: behind the licence with this id.")
]
LicenceLimit = Annotated[int, QueryParameter(ge=1, le=100, description="How many licences a page has at most.")]
MaxHeight = Annotated[
    int, QueryParameter(ge=1, le=16384, description="The highest picture that the device shows, in lines.")
]
Codecs = Annotated[
    str, QueryParameter(max_length=400, description="Codecs that the device decodes, by comma: avc1,mp4a. Empty: all.")
]


@post("/v1/plays", operation_id="startPlay", tags=["plays"], responses={201: ResponseSpec(Play, description="Started")})
async def start_play(
    request: AnyRequest, data: PlayRequest, identity: Identity, playback: Playback, idempotency: Idempotency
) -> Response[bytes]:
    """Start a play of a title; the answer holds the addresses of its manifests. An Idempotency-Key makes a repeat safe."""
    origin = _origin(request)

    async def produce() -> Play:
        return await playback.start(identity, data, origin)

    return await idempotency.run(request, identity, produce)


@post("/v1/plays/{play_id:str}/renew", operation_id="renewPlay", tags=["plays"], status_code=200)
async def renew_play(request: AnyRequest, play_id: PlayId, identity: Identity, playback: Playback) -> Play:
    """Give a play a new token for the same version; do it at two thirds of the lifetime and after a 403."""
    return await playback.renew(identity, play_id, _origin(request))


@get(
    "/v1/manifests/{token:str}/{asset:str}/{version:int}/{name:str}",
    operation_id="getManifest",
    tags=["manifests"],
    opt={"public": True},
    media_type=MediaType.TEXT,
)
async def get_manifest(
    request: AnyRequest,
    token: FromPath[str],
    asset: FromPath[str],
    version: FromPath[int],
    name: FromPath[str],
    playback: Playback,
    max_height: MaxHeight = 4320,
    codecs: Codecs = "",
) -> Response[bytes]:
    """A manifest text: `hls.m3u8`, `dash.mpd`, or a track's media playlist `{track}.m3u8`."""
    device = Device(max_height=max_height, codecs=tuple(codec for codec in codecs.split(",") if codec))
    text, media_type, seconds = await playback.text(token, asset, version, name, device, _origin(request))
    return Response(
        text.encode(),
        media_type=media_type,
        headers={
            "Cache-Control": f"private, max-age={min(_LONGEST_CACHED_SECONDS, seconds)}",
            "Access-Control-Allow-Origin": "*",
            "X-Content-Type-Options": "nosniff",
        },
    )


@post(
    "/v1/manifests/{token:str}/{asset:str}/{version:int}/licence",
    operation_id="getLicence",
    tags=["licences"],
    opt={"public": True},
    status_code=200,
)
async def get_licence(
    request: AnyRequest, token: FromPath[str], asset: FromPath[str], version: FromPath[int], licences: Licences
) -> Response[bytes]:
    """Keys of a protected version for the play that the token was given to, in the ClearKey format of Encrypted Media Extensions.

    The body is read whatever type it claims: decryption modules name none.
    """
    try:
        asked = msgspec.json.decode(await request.body(), type=LicenceRequest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The request for a licence cannot be read ({error}); send a ClearKey request.") from error
    licence = await licences.clear_key(token, asset, version, asked)
    return Response(msgspec.json.encode(licence), media_type=MediaType.JSON, headers=_SECRET)


@get(
    "/v1/manifests/{token:str}/{asset:str}/{version:int}/keys/{key_id:str}",
    operation_id="getKey",
    tags=["licences"],
    opt={"public": True},
    media_type="application/octet-stream",
)
async def get_key(
    token: FromPath[str], asset: FromPath[str], version: FromPath[int], key_id: FromPath[str], licences: Licences
) -> Response[bytes]:
    """One key as HLS players fetch it: its 16 bytes."""
    granted = await licences.grant(token, asset, version, [key_id])
    return Response(granted[key_id], media_type="application/octet-stream", headers=_SECRET)


@get(
    "/v1/plays/licences/{asset:str}",
    operation_id="listLicences",
    tags=["licences"],
    guards=[needs("operator")],
)
async def list_licences(
    asset: FromPath[str], playback: Playback, before: LicencesBefore = "", limit: LicenceLimit = 50
) -> IssuedLicences:
    """Which plays of an asset were given which keys, the newest first: where a key that turned up somewhere may come from."""
    return await playback.licences(check_id(asset, "ast"), before, limit)


@get(
    "/v1/internal/manifests/{asset:str}/{version:int}/{name:str}",
    operation_id="previewManifest",
    tags=["internal"],
    guards=[needs("service")],
)
async def preview_manifest(
    asset: FromPath[str], version: FromPath[int], name: FromPath[str], playback: Playback
) -> ManifestText:
    """A text of a stored version as players would get it, with addresses that lead nowhere."""
    return ManifestText(text=await playback.preview(asset, version, name))


@get("/v1/internal/plays/leases", operation_id="listLeases", tags=["internal"], guards=[needs("service")])
async def list_leases(playback: Playback) -> Leases:
    """Which versions of assets are in use by unexpired tokens, and until when; garbage collection keeps them."""
    return await playback.leases()


@get("/v1/internal/plays/counts", operation_id="countPlays", tags=["internal"], guards=[needs("service")])
async def count_plays(playback: Playback) -> PlayCounts:
    """How often each title was played in the time that is remembered, about a day."""
    return await playback.counts()


@post("/v1/gc", operation_id="collectPlays", tags=["internal"], guards=[needs("operator")], status_code=200)
async def collect_plays(playback: Playback) -> Collected:
    """Forget the plays that can no longer be renewed."""
    return Collected(deleted=await playback.collect())


ROUTES: tuple[ControllerRouterHandler, ...] = (
    start_play,
    renew_play,
    get_manifest,
    get_licence,
    get_key,
    list_licences,
    preview_manifest,
    list_leases,
    count_plays,
    collect_plays,
)


def _origin(request: AnyRequest) -> Origin:
    """Return the public address that the client used, as the gateway says, else as the request itself says."""
    host = request.headers.get("x-forwarded-host") or request.headers.get("host") or ""
    return origin_of(host, request.headers.get("x-forwarded-proto") or "http")
