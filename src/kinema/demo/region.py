"""The region as the seeding program sees it: the public API, with patience for services that are just restarting."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import structlog

from kinema.core.clock import Clock, SystemClock
from kinema.core.errors import DeadlineExceeded, KinemaError, Unavailable
from kinema.core.ids import new_id
from kinema.http.client import Client, Response
from kinema.http.headers import Fields, Headers
from kinema.model.catalog import Title, TitleDetails
from kinema.model.encoding import Job, JobPage

Token = str | Callable[[], Awaitable[str]]
"""A bearer token, or how to ask for one; it is asked for once the region answers."""

PART_BYTES = 8 * 1024 * 1024
_RETRIED = frozenset({429, 502, 503, 504})
_TUS: Fields = ((b"tus-resumable", b"1.0.0"),)
_NO_HEADERS = Headers({})
log = structlog.get_logger("demo")


class RegionRefused(KinemaError):
    """The region answered a request of the seeding program with an error that waiting does not mend."""

    code = "demo-refused"


class Region:
    """A client of one region's gateway for an operator. `patience` is how long one request is tried again, in seconds."""

    def __init__(
        self, base_url: str, token: Token, client: Client, patience: float = 180.0, clock: Clock | None = None
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "http" or not parts.hostname:
            raise RegionRefused(f"The region's address {base_url!r} is not of the form http://host:port; correct it.")
        self._origin = f"{parts.hostname}:{parts.port or 80}"
        self._token = token
        self._client = client
        self._patience = patience
        self._clock: Clock = clock or SystemClock()
        self._bearer = ""

    async def wait_ready(self) -> None:
        """Return when the region says that every service answers. Raises RegionRefused when it never does."""
        await self._ask("GET", "/healthz", ok=(200,), public=True, also_retry=(404, 500))

    async def title(self, title_id: str) -> Title | None:
        """The published title, or None."""
        answer = await self._ask("GET", f"/v1/titles/{title_id}", ok=(200, 404))
        return None if answer.status == 404 else msgspec.json.decode(answer.body, type=Title)

    async def has_details(self, title_id: str) -> bool:
        """Whether anybody has written about this title yet, published or not."""
        return (await self._ask("GET", f"/v1/titles/{title_id}/details", ok=(200, 404))).status == 200

    async def put_details(self, title_id: str, details: TitleDetails) -> None:
        """Write a title's details; there is an unpublished title if there was none."""
        await self._ask("PUT", f"/v1/titles/{title_id}", body=msgspec.json.encode(details), kind=b"application/json")

    async def put_artwork(self, title_id: str, kind: str, picture: bytes) -> None:
        """Give a title its poster or billboard, a JPEG."""
        await self._ask("PUT", f"/v1/titles/{title_id}/artwork/{kind}", body=picture, kind=b"image/jpeg")

    async def jobs(self) -> list[Job]:
        """All encoding jobs, newest first."""
        found: list[Job] = []
        cursor: str | None = ""
        while cursor is not None:
            target = "/v1/jobs" + (f"?cursor={quote(cursor)}" if cursor else "")
            page = msgspec.json.decode((await self._ask("GET", target)).body, type=JobPage)
            found += page.jobs
            cursor = page.next_cursor
        return found

    async def retry(self, job_id: str) -> None:
        """Queue a failed job again, once for each start of the seeding program."""
        await self._ask("POST", f"/v1/jobs/{job_id}/retry", headers=((b"idempotency-key", new_id("key").encode()),))

    async def create_upload(self, path: Path, title: str, title_id: str) -> str:
        """Announce an upload (tus creation); returns its address on the region."""
        facts = {"filename": path.name, "title": title, "title_id": title_id, "filetype": "video/mp4"}
        metadata = ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in facts.items())
        size = await asyncio.to_thread(_size, path)
        fields = ((b"upload-length", str(size).encode()), (b"upload-metadata", metadata.encode()))
        answer = await self._ask("POST", "/v1/uploads", headers=(*_TUS, *fields), ok=(201,))
        location = (answer.headers.get(b"location") or b"").decode()
        if not location:
            raise RegionRefused("The region accepted an upload without saying where; is that address a Kinema gateway?")
        return urlsplit(location).path

    async def offset(self, upload: str) -> int | None:
        """How many bytes of an upload the region has, or None when it does not know the upload (any more)."""
        answer = await self._ask("HEAD", upload, headers=_TUS, ok=(200, 204, 403, 404, 410))
        if answer.status >= 400:
            return None
        return int(answer.headers.get(b"upload-offset") or b"0")

    async def send(self, upload: str, path: Path, progress: Callable[[int, int], None]) -> bool:
        """Send what the region lacks of a file, part by part, from wherever it says it is. False: the upload is gone."""
        size = await asyncio.to_thread(_size, path)
        while (offset := await self.offset(upload)) is not None:
            progress(offset, size)
            if offset >= size:
                return True
            part = await asyncio.to_thread(_part, path, offset)
            digest = base64.b64encode(hashlib.sha256(part).digest())
            fields = (
                (b"upload-offset", str(offset).encode()),
                (b"content-type", b"application/offset+octet-stream"),
                (b"upload-checksum", b"sha256 " + digest),
            )
            # A conflict or a damaged part is answered by asking for the offset again, like a lost connection.
            await self._ask(
                "PATCH", upload, headers=(*_TUS, *fields), body=part, ok=(204, 404, 409, 410, 460, *_RETRIED)
            )
        return False

    async def _ask(
        self,
        method: str,
        target: str,
        *,
        headers: Fields = (),
        body: bytes = b"",
        kind: bytes = b"",
        ok: tuple[int, ...] = (200, 201, 204),
        also_retry: tuple[int, ...] = (),
        public: bool = False,
    ) -> Response:
        """One request, tried again while the region is not there. Raises RegionRefused with the region's own sentence."""
        give_up = self._clock.monotonic() + self._patience
        pause = 0.1
        while True:
            try:
                fields = [*headers, (b"content-type", kind)] if kind else list(headers)
                if not public:
                    fields.append((b"authorization", b"Bearer " + (await self._ask_token()).encode()))
                answer = await self._client.fetch(self._origin, method, target, fields, body, timeout=60.0)
                if answer.status in ok:
                    if answer.status in _RETRIED:
                        await self._clock.sleep(pause)
                    return answer
                trouble = f"{answer.status} {_sentence(answer.body)}"
                if answer.status not in _RETRIED and answer.status not in also_retry:
                    raise RegionRefused(f"{method} {target}: {trouble}")
            except (Unavailable, DeadlineExceeded, OSError) as error:
                trouble = str(error)
                if method == "PATCH":
                    await self._clock.sleep(pause)
                    return Response(503, _NO_HEADERS, b"")
            if self._clock.monotonic() > give_up:
                raise RegionRefused(
                    f"The region did not answer {method} {target} for {self._patience:.0f} s: {trouble}"
                )
            log.debug("again", method=method, target=target, trouble=trouble)
            await self._clock.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 -- spreads retries, guards nothing
            pause = min(pause * 1.7, 2.0)

    async def _ask_token(self) -> str:
        if not self._bearer:
            self._bearer = self._token if isinstance(self._token, str) else await self._token()
        return self._bearer


def _size(path: Path) -> int:
    return path.stat().st_size


def _part(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(PART_BYTES)


def _sentence(body: bytes) -> str:
    """The detail of a problem document, else the beginning of whatever it is."""
    try:
        problem: Any = msgspec.json.decode(body)
        return str(problem.get("detail") or problem.get("title") or problem)
    except (msgspec.DecodeError, AttributeError):
        return body[:200].decode(errors="replace")
