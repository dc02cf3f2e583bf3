"""Conditional reads (RFC 9110 section 13): an answer has an entity tag, and who holds that tag already gets 304 without a body."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.enums import MediaType

from kinema.core.etag import matches

T = TypeVar("T")


def conditional(
    request: Request[object, object, State], etag: str, build: Callable[[], T], cache_control: str = "private, no-cache"
) -> Response[bytes]:
    """Answer with what `build` returns as JSON, or 304 when the request's If-None-Match names `etag` (without quotes)."""
    headers = {"ETag": f'"{etag}"', "Cache-Control": cache_control}
    if matches(request.headers.get("if-none-match", ""), etag):
        return Response(b"", status_code=304, headers=headers, media_type=MediaType.JSON)
    return Response(msgspec.json.encode(build()), headers=headers, media_type=MediaType.JSON)
