"""Encoding under test: its app and its worker on real storage; catalog is a list of what was announced."""

import asyncio
import base64
import time
from contextlib import asynccontextmanager

from kinema.core.keys import KeyRing
from kinema.model.catalog import AssetVersion, AssetVersions, Published, PublishedTitles, Title
from kinema.model.encoding import decode_manifest, manifest_key
from kinema.model.playback import Lease, Leases, PlayCounts, TitlePlays
from kinema.services.catalog.snapshot import published
from kinema.services.encoding.app import create_encoding
from kinema.services.encoding.jobs import Jobs
from kinema.services.encoding.worker import run_worker
from kinema.storage.blobs_files import FileBlobs
from kinema.storage.content import read_all
from kinema.storage.sql_sqlite import SqliteSql
from tests.support.services import ShiftedClock, as_, running

TUS = {"Tus-Resumable": "1.0.0"}
PART = {**TUS, "Content-Type": "application/offset+octet-stream"}


def metadata(**facts):
    """Return an Upload-Metadata header."""
    return ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in facts.items())


class Room:
    """One data directory, an API client with an operator's identity, and workers on demand."""

    def __init__(self, directory, limit=1 << 30):
        self.directory = directory
        self.clock = ShiftedClock()
        self.keys = KeyRing(directory)
        self.blobs = FileBlobs(directory / "blobs")
        self.sql = SqliteSql(directory / "sql" / "encoding.db")
        self.jobs = Jobs(self.sql, self.clock)
        self.announced = []
        self.leased = []
        self.plays = {}
        self.recalled = []
        self.app = self.make_app("encoding-1", limit)

    def make_app(self, instance, limit=1 << 30):
        return create_encoding(
            instance=instance,
            sql=self.sql,
            blobs=self.blobs,
            keys=self.keys,
            clock=self.clock,
            calls=self,
            upload_limit_bytes=limit,
        )

    async def call(self, service, method, path, body=None, *, type):  # noqa: A002 -- rpc's name for it
        """Answer for catalog, which has each announcement as a version and names what was announced last, and for playback."""
        if path.endswith("/publication"):
            await self.announce(path.split("/")[3], body)
            return Published(path.split("/")[3], len(self.announced))
        if path.startswith("/v1/internal/published"):
            version = int(path.partition("version=")[2] or len(self.announced))
            return PublishedTitles(
                version,
                tuple({title: published(self.title(title, said)) for title, said in self.announced[:version]}.values()),
            )
        if path == "/v1/internal/plays/counts":
            return PlayCounts(1.0, tuple(TitlePlays(title, number) for title, number in self.plays.items()))
        if service == "catalog":
            latest = {title: AssetVersion(said.asset, said.manifest_version) for title, said in self.announced}
            return AssetVersions(tuple(latest.values()))
        return Leases(tuple(Lease(asset, version, 0) for asset, version in self.leased))

    async def recall(self, title_id, recalled):
        self.recalled.append((title_id, recalled))

    def title(self, title_id, said):
        """Return a title as catalog would have it."""
        facts = {
            name: getattr(said, name) for name in ("asset", "manifest_version", "duration_seconds", "rungs", "complete")
        }
        written = {"synopsis": "", "year": None, "genres": (), "shelf": "New", "credits": ""}
        shown = {"poster": "", "billboard": "", "published_at": "2025-01-01T00:00:00.000Z"}
        return Title(title_id=title_id, title=said.title, **facts, **written, **shown)

    async def announce(self, title_id, publication):
        self.announced.append((title_id, publication))

    async def upload(self, client, path, **facts):
        """Send a whole file; return the title's id."""
        body = path.read_bytes()
        headers = {**TUS, "Upload-Length": str(len(body)), "Upload-Metadata": metadata(filename=path.name, **facts)}
        made = await client.post("/v1/uploads", headers=headers)
        assert made.status_code == 201, made.text
        sent = await client.patch(made.headers["location"], headers={**PART, "Upload-Offset": "0"}, content=body)
        assert sent.status_code == 204, f"{sent.status_code} {sent.text}"
        return made.headers["kinema-title-id"]

    @asynccontextmanager
    async def worker(self, name="worker-1", **other):
        stop = asyncio.Event()
        task = asyncio.create_task(
            run_worker(
                instance=name,
                sql=self.sql,
                blobs=self.blobs,
                clock=self.clock,
                keys=self.keys,
                announce=other.get("announce", self.announce),
                recall=self.recall,
                scratch=self.directory / "scratch" / name,
                stop=stop,
                properties=other.get("properties"),
                read_text=other.get("read_text"),
                threads=1,  # x264's rate control depends on timing when it has more
            )
        )
        try:
            yield task
        finally:
            stop.set()
            await task

    async def ended(self, seconds=100):
        """Wait until no job is queued or running; return the jobs, newest first."""
        return await self.until(lambda jobs: all(job.state not in {"queued", "running"} for job in jobs), seconds)

    async def until(self, condition, seconds=100):
        deadline = time.monotonic() + seconds
        while True:
            jobs = await self.jobs.page(None, None, 100)
            if jobs and condition(jobs):
                return jobs
            assert time.monotonic() < deadline, jobs
            await asyncio.sleep(0.02)

    async def manifest(self, publication):
        key = manifest_key(publication.asset, publication.manifest_version)
        return decode_manifest(await read_all(self.blobs, key))

    async def keys_under(self, *prefixes):
        return {blob.key for prefix in prefixes for blob in [b async for b in self.blobs.list(prefix)]}


@asynccontextmanager
async def open_room(directory, **options):
    """Yield a room and its operator's client."""
    room = Room(directory, **options)
    async with running(room.app) as client:
        client.headers.update(as_("operator", room.keys, room.clock))
        try:
            yield room, client
        finally:
            await room.sql.close()
