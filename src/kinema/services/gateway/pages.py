"""The user interface's files, from memory.

All files under the built UI's folder are read once, text ones compressed, and found by their exact path in a dict, so no
path of a client ever reaches the file system. A new build is noticed by its index.html within two seconds.

    /assets/...          names carry a hash of the contents: cached for a year, immutable
    other files          revalidated by ETag
    any other path       index.html, as the UI routes by itself (only for who accepts HTML)
"""

import asyncio
import gzip
import hashlib
import mimetypes
import os
from pathlib import Path

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import MethodNotAllowed, NotFound
from kinema.core.etag import matches
from kinema.core.log import get_logger
from kinema.rpc.directory import Directory
from kinema.services.gateway.answer import HeaderList
from kinema.services.gateway.encodings import choose
from kinema.services.gateway.passage import Passage

_INDEX = "/index.html"
_LOOK_SECONDS = 2.0
_LARGEST_BYTES = 32 * 1024 * 1024
_CODINGS = ("gzip",)
_COMPRESSED = ("text/", "application/javascript", "application/json", "application/manifest+json", "image/svg+xml")
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".avif": "image/avif",
    ".webp": "image/webp",
    ".wasm": "application/wasm",
}
_NOT_BUILT = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>Kinema</title>"
    b"<p>Kinema is running, but its pages are not built yet. Run <code>make setup</code> in the project's folder, "
    b"then load this page again.</p></html>"
)

_log = get_logger(__name__)


class Page(msgspec.Struct, frozen=True):
    """A file ready to be sent; `packed` is its gzip form, empty where that saves nothing."""

    body: bytes
    packed: bytes
    kind: bytes
    etag: str
    immutable: bool


class Pages:
    """Endpoint for everything outside the API."""

    def __init__(self, folder: Path | None, directory: Directory, clock: Clock) -> None:
        self._folder = folder
        self._directory = directory
        self._clock = clock
        self._pages: dict[str, Page] = {}
        self._built_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the files, and look for a new build from then on."""
        await self._load()
        if self._folder is not None:
            self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def __call__(self, passage: Passage) -> None:
        """Answer with a file, the page that routes by itself, or 404."""
        exchange = passage.exchange
        if exchange.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed("Pages are read by GET; the API is under /v1.")
        page = self._pages.get(_INDEX if passage.path == "/" else passage.path)
        if page is None and b"text/html" in (exchange.headers.get(b"accept") or b""):
            page = self._pages.get(_INDEX)
            if page is None:
                passage.reply(503, [(b"content-type", b"text/html; charset=utf-8"), *_SAFE], _NOT_BUILT)
                return
        if page is None:
            raise NotFound(f"There is nothing at {passage.path[:200]}.")
        self._answer(passage, page)

    def _answer(self, passage: Passage, page: Page) -> None:
        exchange = passage.exchange
        cached = b"public, max-age=31536000, immutable" if page.immutable else b"no-cache"
        headers: HeaderList = [(b"content-type", page.kind), (b"cache-control", cached), *_SAFE]
        if page.kind.startswith(b"text/html"):
            headers.append((b"content-security-policy", self._policy(passage)))
        body = page.body
        etag = page.etag
        if page.packed:
            headers.append((b"vary", b"accept-encoding"))
            if choose(exchange.headers.get(b"accept-encoding"), _CODINGS).coding:
                headers.append((b"content-encoding", b"gzip"))
                body, etag = page.packed, page.etag + "-gzip"
        headers.append((b"etag", f'"{etag}"'.encode()))
        held = exchange.headers.get(b"if-none-match")
        if held is not None and matches(held.decode("latin-1"), etag):
            passage.reply(304, headers)
        elif exchange.method == "HEAD":
            passage.start(200, headers, len(body))
            passage.finish()
        else:
            passage.reply(200, headers, body)

    def _policy(self, passage: Passage) -> bytes:
        """Return the Content-Security-Policy: our own scripts only, and media from the edges that discovery knows."""
        host = passage.host.decode("latin-1")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        edges = set()
        for edge in self._directory.instances("edge"):
            base = edge.metadata.get("public_base", "")
            edges.add(f"{passage.proto.decode()}://{name}{base}" if base.startswith(":") else base)
        media = " ".join(sorted(filter(_plain_source, edges)))
        return (
            f"default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob: {media}; "
            f"font-src 'self'; connect-src 'self' {media}; media-src 'self' blob: {media}; worker-src 'self' blob:; "
            "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        ).encode("latin-1")

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            if self._folder is not None and _built_at(self._folder) != self._built_at:
                await self._load()

    async def _load(self) -> None:
        if self._folder is None or not (built_at := _built_at(self._folder)):
            return
        try:
            self._pages = await asyncio.to_thread(read_pages, self._folder)
        except OSError as error:  # a build is being replaced: the next look finds it whole
            _log.warning("the pages could not be read", folder=str(self._folder), error=str(error))
            return
        self._built_at = built_at


_SAFE: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


def read_pages(folder: Path) -> dict[str, Page]:
    """Read every regular file under the folder, by the path at which it is served. Links are not followed."""
    pages: dict[str, Page] = {}
    for base, _, names in os.walk(folder):
        for name in names:
            path = Path(base, name)
            if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_BYTES:
                continue
            served = "/" + path.relative_to(folder).as_posix()
            pages[served] = _page(path, immutable=served.startswith("/assets/"))
    return pages


def _page(path: Path, *, immutable: bool) -> Page:
    body = path.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packed = gzip.compress(body, 6, mtime=0) if kind.startswith(_COMPRESSED) and len(body) > 512 else b""
    return Page(
        body=body,
        packed=packed if len(packed) < len(body) else b"",
        kind=kind.encode(),
        etag=hashlib.sha256(body).hexdigest()[:24],
        immutable=immutable,
    )


def _built_at(folder: Path) -> float:
    try:
        return (folder / _INDEX[1:]).stat().st_mtime
    except OSError:
        return 0.0


def _plain_source(source: str) -> bool:
    """Whether a text can stand in the policy without changing it; a Host field is the client's to choose."""
    return bool(source) and not any(letter in source for letter in " ;,'\"<>\\") and source.isprintable()
