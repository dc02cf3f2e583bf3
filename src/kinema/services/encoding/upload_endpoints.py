"""The tus 1.0 endpoints under /v1/uploads. Bodies are streamed into parts and never held whole."""

from collections.abc import Mapping
from typing import Annotated

from litestar import Request, Response, Router, delete, head, patch, post, route
from litestar.datastructures import State
from litestar.enums import HttpMethod
from litestar.params import PathParameter

from kinema.core import problem
from kinema.core.errors import BadInput, KinemaError, PreconditionFailed, Unsupported
from kinema.core.identity import Identity
from kinema.core.ids import check_id
from kinema.rpc.idempotency import key_of
from kinema.rpc.service import AnyRequest, needs
from kinema.services.encoding import tus
from kinema.services.encoding.uploads import Upload, Uploads

_RESUMABLE = {"Tus-Resumable": tus.VERSION, "Cache-Control": "no-store"}

UploadId = Annotated[str, PathParameter(description="The upload's id.", schema_extra={"pattern": "^upl_[0-9a-z]{26}$"})]


@route(
    ["/", "/{upload_id:str}"],
    http_method=[HttpMethod.OPTIONS],
    include_in_schema=False,  # two paths cannot share an operation id, and tus clients know it
    opt={"public": True},
    status_code=204,
)
async def describe_uploads(uploads: Uploads) -> Response[None]:
    """What this server speaks: tus 1.0, its extensions and the largest upload."""
    return _answer(
        204,
        {
            "Tus-Version": tus.VERSION,
            "Tus-Extension": tus.EXTENSIONS,
            "Tus-Checksum-Algorithm": tus.CHECKSUMS,
            "Tus-Max-Size": str(uploads.limit),
        },
    )


@post("/", operation_id="createUpload", guards=[needs("operator")], status_code=201)
async def create_upload(request: AnyRequest, identity: Identity, uploads: Uploads) -> Response[None]:
    """Begin an upload of Upload-Length bytes; Location says where its bytes go, Kinema-Title-Id which title it will be.

    Upload-Metadata may hold filename, title, title_id and filetype. With an Idempotency-Key a repeat finds the same upload.
    """
    tus.check_version(request.headers.get("tus-resumable"))
    length = tus.natural(request.headers.get("upload-length"), "Upload-Length")
    film = tus.film_metadata(request.headers.get("upload-metadata"))
    upload = await uploads.create(identity.account, length, film, key_of(request))
    return _answer(
        201,
        {
            "Location": f"/v1/uploads/{upload.upload_id}",
            "Kinema-Title-Id": upload.title_id,
            "Upload-Expires": tus.http_date(upload.expires_at),
        },
    )


@head("/{upload_id:str}", operation_id="getUploadOffset", guards=[needs("operator")])
async def get_offset(request: AnyRequest, upload_id: UploadId, uploads: Uploads) -> Response[None]:
    """How many bytes have arrived."""
    tus.check_version(request.headers.get("tus-resumable"))
    upload = await uploads.get(check_id(upload_id, "upl"))
    return _answer(200, {"Upload-Length": str(upload.length), **_standing(upload)})


@patch(
    "/{upload_id:str}",
    operation_id="appendToUpload",
    guards=[needs("operator")],
    request_max_body_size=None,
    status_code=204,
)
async def append(request: AnyRequest, upload_id: UploadId, uploads: Uploads) -> Response[None]:
    """Add bytes at Upload-Offset; with Upload-Checksum they are kept only when they match it."""
    return await _append(request, upload_id, uploads)


@delete("/{upload_id:str}", operation_id="terminateUpload", guards=[needs("operator")], status_code=204)
async def terminate(request: AnyRequest, upload_id: UploadId, uploads: Uploads) -> Response[None]:
    """Give an upload up; its bytes are deleted."""
    return await _terminate(request, upload_id, uploads)


@post(
    "/{upload_id:str}",
    operation_id="overrideUploadMethod",
    guards=[needs("operator")],
    request_max_body_size=None,
    status_code=204,
)
async def override(request: AnyRequest, upload_id: UploadId, uploads: Uploads) -> Response[None]:
    """Do what PATCH or DELETE does, as X-HTTP-Method-Override says, for clients that cannot send these."""
    method = request.headers.get("x-http-method-override", "").upper()
    if method == "PATCH":
        return await _append(request, upload_id, uploads)
    if method == "DELETE":
        return await _terminate(request, upload_id, uploads)
    raise BadInput("The bytes of an upload are sent by PATCH, or by POST with X-HTTP-Method-Override: PATCH.")


async def _append(request: AnyRequest, upload_id: str, uploads: Uploads) -> Response[None]:
    tus.check_version(request.headers.get("tus-resumable"))
    if request.headers.get("content-type") != tus.MEDIA_TYPE:
        raise Unsupported(f"The bytes of an upload are sent as {tus.MEDIA_TYPE}.")
    offset = tus.natural(request.headers.get("upload-offset"), "Upload-Offset")
    announced = request.headers.get("content-length")
    upload = await uploads.append(
        check_id(upload_id, "upl"),
        offset,
        None if announced is None else tus.natural(announced, "Content-Length"),
        request.stream(),
        tus.parse_checksum(request.headers.get("upload-checksum")),
    )
    return _answer(204, _standing(upload))


async def _terminate(request: AnyRequest, upload_id: str, uploads: Uploads) -> Response[None]:
    tus.check_version(request.headers.get("tus-resumable"))
    await uploads.terminate(check_id(upload_id, "upl"))
    return _answer(204, {})


def _standing(upload: Upload) -> dict[str, str]:
    return {
        "Upload-Offset": str(upload.offset),
        "Upload-Expires": tus.http_date(upload.expires_at),
        "Kinema-Title-Id": upload.title_id,
    }


def _answer(status: int, headers: Mapping[str, str]) -> Response[None]:
    return Response(None, status_code=status, headers={**_RESUMABLE, **headers})


def _answer_error(request: Request[object, object, State], error: KinemaError) -> Response[bytes]:
    """Answer with a problem document and the headers that tus wants on every answer."""
    headers = dict(_RESUMABLE)
    if isinstance(error, PreconditionFailed):
        headers["Tus-Version"] = tus.VERSION
    if error.status == 503:
        headers["Retry-After"] = "1"
    return Response(
        problem.encode(problem.problem_of(error, request.url.path)),
        status_code=error.status,
        media_type=problem.MEDIA_TYPE,
        headers=headers,
    )


UPLOAD_ROUTES = Router(
    path="/v1/uploads",
    route_handlers=[describe_uploads, create_upload, get_offset, append, terminate, override],
    exception_handlers={KinemaError: _answer_error},
    tags=["uploads"],
)
