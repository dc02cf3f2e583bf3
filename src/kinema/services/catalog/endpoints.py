"""Catalog's HTTP API. What viewers read comes from the snapshot in memory and carries its version as ETag."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from litestar import MediaType, Response, delete, get, patch, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from kinema.core.errors import NotFound
from kinema.core.etag import matches
from kinema.core.ids import check_id
from kinema.core.keys import KeyRing
from kinema.model.catalog import (
    ArtworkKind,
    ArtworkStored,
    AssetVersions,
    Authored,
    CatalogCollected,
    CatalogVersion,
    Home,
    KeptVersions,
    Pin,
    Publication,
    Published,
    PublishedTitles,
    Recall,
    Title,
    TitleChange,
    TitleDetails,
    TitlePage,
    Withdrawals,
)
from kinema.rpc.conditional import conditional
from kinema.rpc.cursor import decode_cursor, encode_cursor
from kinema.rpc.service import AnyRequest, needs
from kinema.services.catalog import pictures, search
from kinema.services.catalog.authoring import Authoring
from kinema.services.catalog.collection import Collection
from kinema.services.catalog.gallery import Gallery
from kinema.services.catalog.reader import Reader
from kinema.services.catalog.search import Position
from kinema.services.catalog.snapshot import published

_SEARCHED_AT_ONCE = 1000  # titles; searching more takes milliseconds and leaves the event loop
_FOREVER = "private, max-age=31536000, immutable"

TitleId = Annotated[str, PathParameter(description="The title's id.", schema_extra={"pattern": "^ttl_[0-9a-z]{26}$"})]
Cursor = Annotated[
    str, QueryParameter(max_length=2000, description="Where the page begins: `next_cursor` of the page before.")
]
Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many titles a page has at most.")]
Query = Annotated[str, QueryParameter(max_length=200, description="Words that must all be found in a title's texts.")]

KeptVersionNumber = Annotated[int | None, QueryParameter(ge=1, le=2**53, description="A version that is kept.")]
Reason = Annotated[str, QueryParameter(max_length=1000, description="Why, in words for the other operators.")]


@dataclass
class PictureOperation(Operation):
    """The OpenAPI description of a request whose body is a picture as it is."""

    def __post_init__(self) -> None:
        """Describe the body, which the handler reads itself."""
        binary = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        kinds = ("image/jpeg", "image/png", "image/webp", "image/avif")
        self.request_body = RequestBody(
            content={kind: OpenAPIMediaType(schema=binary) for kind in kinds}, required=True
        )


@get(
    "/v1/titles",
    operation_id="listTitles",
    tags=["titles"],
    responses={200: ResponseSpec(TitlePage, description="A page")},
)
async def list_titles(
    request: AnyRequest, reader: Reader, cursor_keys: KeyRing, cursor: Cursor = "", limit: Limit = 50, q: Query = ""
) -> Response[bytes]:
    """The published titles, newest first; with `q`, those that match, titles whose name matches first."""
    shown = reader.snapshot
    after = decode_cursor(cursor_keys, cursor, Position) if cursor else None

    if q and len(shown.titles) > _SEARCHED_AT_ONCE:
        found = await asyncio.to_thread(search.find, shown.titles, shown.words, q, after, limit)
    else:
        found = search.find(shown.titles, shown.words, q, after, limit)

    def build() -> TitlePage:
        next_cursor = None if found.next is None else encode_cursor(cursor_keys, found.next)
        return TitlePage(titles=found.titles, next_cursor=next_cursor)

    return conditional(request, _etag(shown.version), build)


@get(
    "/v1/titles/{title_id:str}",
    operation_id="getTitle",
    tags=["titles"],
    responses={200: ResponseSpec(Title, description="The title")},
)
async def get_title(request: AnyRequest, title_id: TitleId, reader: Reader) -> Response[bytes]:
    """One published title."""
    if check_id(title_id, "ttl") not in reader.snapshot.by_id:
        await reader.refresh()  # the other instance may have announced it less than a poll ago
    shown = reader.snapshot
    title = shown.by_id.get(title_id)
    if title is None:
        raise NotFound(f"There is no published title {title_id}; it may have been withdrawn or not be ready yet.")
    return conditional(request, _etag(shown.version), lambda: title)


@get(
    "/v1/home",
    operation_id="getHome",
    tags=["titles"],
    responses={200: ResponseSpec(Home, description="The home page")},
)
async def get_home(request: AnyRequest, reader: Reader) -> Response[bytes]:
    """The home page: a billboard and rows of titles."""
    shown = reader.snapshot
    return conditional(request, _etag(shown.version), lambda: shown.home)


@get("/v1/artwork/{digest:str}", operation_id="getArtwork", tags=["artwork"])
async def get_artwork(request: AnyRequest, digest: FromPath[str], gallery: Gallery) -> Response[bytes]:
    """A picture. Its address names its content, so it never changes."""
    headers = {"ETag": f'"{digest}"', "Cache-Control": _FOREVER, "X-Content-Type-Options": "nosniff"}
    if matches(request.headers.get("if-none-match") or "", digest):
        return Response(b"", status_code=304, headers=headers, media_type=MediaType.TEXT)
    body, media_type = await gallery.get(digest)
    return Response(body, media_type=media_type, headers=headers)


@get("/v1/titles/{title_id:str}/details", operation_id="getDetails", tags=["authoring"], guards=[needs("operator")])
async def get_details(title_id: TitleId, authoring: Authoring) -> TitleDetails:
    """What is written about a title, published or not."""
    return await authoring.details(title_id)


@put("/v1/titles/{title_id:str}", operation_id="putTitle", tags=["authoring"], guards=[needs("operator")])
async def put_title(title_id: TitleId, data: TitleDetails, authoring: Authoring) -> Authored:
    """Write a title's details; makes an unpublished title when there is none."""
    return await authoring.put(title_id, data)


@patch("/v1/titles/{title_id:str}", operation_id="patchTitle", tags=["authoring"], guards=[needs("operator")])
async def patch_title(title_id: TitleId, data: TitleChange, authoring: Authoring) -> Authored:
    """Write some of a title's details."""
    return await authoring.patch(title_id, data)


@delete("/v1/titles/{title_id:str}", operation_id="withdrawTitle", tags=["authoring"], guards=[needs("operator")])
async def withdraw_title(title_id: TitleId, authoring: Authoring, reason: Reason = "") -> None:
    """Take a title out of the catalogue; who is watching it may go on."""
    await authoring.withdraw(title_id, reason)


@put(
    "/v1/titles/{title_id:str}/artwork/{kind:str}",
    operation_id="putArtwork",
    tags=["authoring"],
    guards=[needs("operator")],
    operation_class=PictureOperation,
    request_max_body_size=pictures.MOST_BYTES,
)
async def put_artwork(
    request: AnyRequest,
    title_id: TitleId,
    kind: Annotated[ArtworkKind, PathParameter(description="poster (upright) or billboard (wide)")],
    authoring: Authoring,
) -> ArtworkStored:
    """Give a title a picture: JPEG, PNG, WebP or AVIF, at most 5 MB."""
    return await authoring.put_artwork(title_id, kind, await request.body())


@put(
    "/v1/titles/{title_id:str}/publication",
    operation_id="publishTitle",
    tags=["internal"],
    guards=[needs("service")],
)
async def publish_title(title_id: TitleId, data: Publication, authoring: Authoring) -> Published:
    """Publish a version of an asset under a title; repeating it changes nothing."""
    return await authoring.publish(title_id, data)


@put("/v1/titles/{title_id:str}/recall", operation_id="recallTitle", tags=["internal"], guards=[needs("service")])
async def recall_title(title_id: TitleId, data: Recall, authoring: Authoring) -> None:
    """Take a title off while a version that turned out to be bad, or an older one, is what it is published with."""
    await authoring.recall(title_id, data)


@get("/v1/catalog/withdrawals", operation_id="listWithdrawals", tags=["catalog"], guards=[needs("operator")])
async def list_withdrawals(authoring: Authoring) -> Withdrawals:
    """The titles that were taken off and are not back, the latest first, and why."""
    return await authoring.withdrawals()


@get(
    "/v1/catalog/version",
    operation_id="getCatalogVersion",
    tags=["catalog"],
    responses={200: ResponseSpec(CatalogVersion, description="The version")},
)
async def get_version(request: AnyRequest, reader: Reader) -> Response[bytes]:
    """Which version of the catalogue is served."""
    version = reader.version
    return conditional(request, f"{version.version}{'-pinned' if version.pinned else ''}", lambda: version)


@get("/v1/catalog/versions", operation_id="listCatalogVersions", tags=["catalog"], guards=[needs("operator")])
async def list_versions(authoring: Authoring) -> KeptVersions:
    """The versions that can be pinned, newest first."""
    return await authoring.versions()


@post("/v1/catalog/pin", operation_id="pinCatalog", tags=["catalog"], guards=[needs("operator")], status_code=200)
async def pin_catalog(data: Pin, authoring: Authoring) -> CatalogVersion:
    """Serve a kept version until it is unpinned (null): the way back after a bad change."""
    return await authoring.pin(data.version)


@get("/v1/internal/assets", operation_id="listAssets", tags=["internal"], guards=[needs("service")])
async def list_assets(collection: Collection) -> AssetVersions:
    """Every manifest version that the catalogue refers to; garbage collection keeps their media."""
    return AssetVersions(versions=await collection.assets())


@get("/v1/internal/published", operation_id="listPublished", tags=["internal"], guards=[needs("service")])
async def list_published(reader: Reader, version: KeptVersionNumber = None) -> PublishedTitles:
    """All titles of a version of the catalogue (none: the one that is served), as what works on all of them needs them."""
    shown = reader.snapshot if version is None else await reader.kept(version)
    return PublishedTitles(catalog_version=shown.version, titles=tuple(published(title) for title in shown.titles))


@post("/v1/gc", operation_id="collectCatalog", tags=["catalog"], guards=[needs("operator")], status_code=200)
async def collect_catalog(collection: Collection) -> CatalogCollected:
    """Delete old snapshots and pictures that no title has."""
    return await collection.collect()


ROUTES: tuple[ControllerRouterHandler, ...] = (
    list_titles,
    get_title,
    get_home,
    get_artwork,
    get_details,
    put_title,
    patch_title,
    withdraw_title,
    put_artwork,
    publish_title,
    recall_title,
    list_withdrawals,
    get_version,
    list_versions,
    pin_catalog,
    list_assets,
    list_published,
    collect_catalog,
)


def _etag(version: int) -> str:
    return f"catalog-{version}"
