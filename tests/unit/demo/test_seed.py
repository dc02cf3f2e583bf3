"""The seeding program against a small server that keeps what it is sent: in order, once, and through every interruption."""

import asyncio
import base64
import hashlib
import io
from pathlib import Path

import msgspec
import pytest

from kinema.core.clock import ManualClock
from kinema.demo import region as region_module
from kinema.demo import seed
from kinema.demo.catalogue import CLIPS_SHELF, STUDIO_SHELF, Item, items, title_id
from kinema.demo.display import Lines
from kinema.demo.real_clips import CLIPS, DIRECTORY
from kinema.demo.region import Region, RegionRefused
from kinema.http import Client, Server, spawn
from kinema.model.catalog import TitleDetails
from kinema.model.encoding import Job, JobPage, RungProgress
from kinema.rpc.service import open_socket


class QuickClock(ManualClock):
    """Pauses pass at once."""

    async def sleep(self, seconds):
        self.advance(seconds)
        await asyncio.sleep(0)


class SmallRegion:
    """Titles, artwork, uploads and jobs in memory; `fail_next` makes requests of a method fail with these statuses."""

    def __init__(self):
        self.details, self.artwork, self.uploads, self.jobs = {}, {}, {}, {}
        self.fail_next, self.requests = [], []
        self.server = Server(lambda exchange: spawn(exchange, self.answer(exchange)))

    async def answer(self, exchange):
        method, path = exchange.method, exchange.path
        body = await exchange.body(64 << 20)
        self.requests.append((method, path))
        if self.fail_next and self.fail_next[0][0] == method:
            exchange.reply(self.fail_next.pop(0)[1], (), b'{"detail": "restarting"}')
        elif path == "/healthz":
            exchange.reply(200, (), b"{}")
        elif exchange.headers.get(b"authorization") != b"Bearer secret":
            exchange.reply(401, (), b'{"detail": "Sign in first."}')
        elif path.startswith("/v1/uploads"):
            self.upload(exchange, method, path.removeprefix("/v1/uploads").strip("/"), body)
        elif path == "/v1/jobs":
            exchange.reply(200, (), msgspec.json.encode(JobPage(tuple(self.jobs.values()))))
        elif path.endswith("/retry"):
            job = self.jobs[path.split("/")[3]]
            self.jobs[job.id] = msgspec.structs.replace(job, state="done")
            exchange.reply(200, (), b"{}")
        else:
            self.title(exchange, method, path.removeprefix("/v1/titles/"), body)

    def title(self, exchange, method, rest, body):
        name, _, part = rest.partition("/")
        if method == "PUT" and part.startswith("artwork/"):
            self.artwork[name, part.removeprefix("artwork/")] = body
            exchange.reply(200, (), b"{}")
        elif method == "PUT":
            self.details[name] = msgspec.json.decode(body, type=TitleDetails)
            exchange.reply(200, (), b"{}")
        elif part == "details" and name in self.details:
            exchange.reply(200, (), msgspec.json.encode(self.details[name]))
        else:
            exchange.reply(404, (), b"{}")

    def upload(self, exchange, method, name, body):
        head = exchange.headers
        if method == "POST":
            pairs = (pair.split(" ") for pair in head.get(b"upload-metadata").decode().split(","))
            facts = {key: base64.b64decode(value).decode() for key, value in pairs}
            name = f"upl_{len(self.uploads)}"
            self.uploads[name] = (facts, int(head.get(b"upload-length")), bytearray())
            exchange.reply(201, [(b"location", f"/v1/uploads/{name}".encode())])
        elif name not in self.uploads:
            exchange.reply(404, ())
        else:
            facts, length, stored = self.uploads[name]
            if method == "PATCH":
                assert head.get(b"upload-checksum") == b"sha256 " + base64.b64encode(hashlib.sha256(body).digest())
                assert int(head.get(b"upload-offset")) == len(stored)
                stored += body
                if len(stored) == length:
                    self.add_job(facts["title_id"], "done", facts["title"], name)
            exchange.reply(204 if method == "PATCH" else 200, [(b"upload-offset", str(len(stored)).encode())])

    def add_job(self, title, state, told="A", upload="upl_x"):
        rungs = (RungProgress("video-360p", "published", 1.0),)
        job = Job(f"job_{len(self.jobs)}", title, upload, told, state, "", 1.0, rungs, 0.0, 1.0)
        self.jobs[job.id] = job


@pytest.fixture
async def small():
    region = SmallRegion()
    sock = open_socket("127.0.0.1")
    await region.server.start(sock)
    region.url = f"http://127.0.0.1:{region.server.port}"
    yield region
    await region.server.drain(0.2)


class Heard:
    def __init__(self):
        self.said = []

    def update(self, title, phase, share, eta=None):
        self.said.append((title, phase))


@pytest.fixture
def catalogue(tmp_path):
    """Two titles whose files are there, or made when asked for."""
    made = []

    def item(slug, size):
        def source(cache, progress, _stop):
            made.append(slug)
            path = cache / f"{slug}.mp4"
            path.write_bytes(slug.encode() * size)
            if progress:
                progress(12, 12)
            return path

        details = TitleDetails(slug.title(), "Words.", 2026, ("Test",), STUDIO_SHELF)
        return Item(slug, title_id(slug), details, source, (("poster", lambda: b"\xff\xd8\xff"),))

    chosen = (item("first", 3000), item("second", 10))
    return chosen, made


async def put_in(small, catalogue, tmp_path, **more):
    heard = Heard()
    clock = QuickClock(0.0)
    await seed.run(small.url, more.get("token", "secret"), tmp_path, heard, catalogue=catalogue, clock=clock)
    return heard


async def test_every_title_arrives_whole_with_details_and_artwork_the_first_one_first(small, catalogue, tmp_path):
    chosen, _ = catalogue
    heard = await put_in(small, chosen, tmp_path)

    assert [facts["title_id"] for facts, _, _ in small.uploads.values()] == [title_id("first"), title_id("second")]
    assert [bytes(stored) for _, _, stored in small.uploads.values()] == [b"first" * 3000, b"second" * 10]
    assert {name: details.title for name, details in small.details.items()} == {
        title_id("first"): "First",
        title_id("second"): "Second",
    }
    assert set(small.artwork) == {(title_id("first"), "poster"), (title_id("second"), "poster")}
    assert ("Second", "ready") in heard.said


async def test_a_second_run_sends_nothing_and_renders_only_what_the_cache_may_have(small, catalogue, tmp_path):
    chosen, made = catalogue
    await put_in(small, chosen, tmp_path)
    small.requests.clear()
    await put_in(small, chosen, tmp_path)

    assert {method for method, _ in small.requests} == {"GET"}
    assert made == ["first", "second", "first"]


async def test_what_an_operator_wrote_about_a_demo_title_stays(small, catalogue, tmp_path):
    chosen, _ = catalogue
    small.details[title_id("first")] = TitleDetails("My own words")
    await put_in(small, chosen, tmp_path)
    assert small.details[title_id("first")].title == "My own words"


async def test_services_that_restart_are_waited_for(small, catalogue, tmp_path):
    chosen, _ = catalogue
    small.fail_next = [
        ("GET", 503),
        ("GET", 503),
        ("PUT", 502),
        ("POST", 503),
        ("PATCH", 503),
        ("PATCH", 460),
        ("HEAD", 504),
    ]
    await put_in(small, chosen, tmp_path)
    assert not small.fail_next
    assert len(small.uploads) == 2
    assert len(small.jobs) == 2


async def test_an_upload_that_was_begun_goes_on_where_it_was(small, catalogue, tmp_path, monkeypatch):
    chosen, _ = catalogue
    monkeypatch.setattr(region_module, "PART_BYTES", 4096)
    cache = tmp_path / "render-cache"
    cache.mkdir()
    whole = b"first" * 3000
    small.uploads["upl_before"] = (
        {"title_id": title_id("first"), "title": "First"},
        len(whole),
        bytearray(whole[:5000]),
    )
    (cache / "first.upload").write_text("/v1/uploads/upl_before\n")

    await put_in(small, chosen, tmp_path)

    assert bytes(small.uploads["upl_before"][2]) == whole
    assert len(small.uploads) == 2
    assert not (cache / "first.upload").exists()


async def test_an_upload_that_the_region_has_forgotten_begins_anew(small, catalogue, tmp_path):
    chosen, _ = catalogue
    (tmp_path / "render-cache").mkdir()
    (tmp_path / "render-cache" / "first.upload").write_text("/v1/uploads/upl_gone\n")
    await put_in(small, chosen, tmp_path)
    assert len(small.jobs) == 2


async def test_a_failed_job_is_tried_again_and_a_cancelled_one_is_left(small, catalogue, tmp_path):
    chosen, _ = catalogue
    small.add_job(title_id("first"), "failed")
    small.add_job(title_id("second"), "cancelled")
    await put_in(small, chosen, tmp_path)
    assert [job.state for job in small.jobs.values()] == ["done", "cancelled"]
    assert not small.uploads


async def test_the_token_is_asked_for_once_and_only_when_it_is_needed(small, catalogue, tmp_path):
    asked = []

    async def token():
        asked.append(len(small.requests))
        return "secret"

    await put_in(small, catalogue[0], tmp_path, token=token)
    assert asked == [1]


async def test_a_refusal_is_reported_in_the_regions_own_words(small, catalogue, tmp_path):
    with pytest.raises(RegionRefused, match=r"401 Sign in first\."):
        await put_in(small, catalogue[0], tmp_path, token="wrong")


async def test_an_absent_region_is_given_up_with_one_sentence():
    client = Client()
    sock = open_socket("127.0.0.1")
    port = sock.getsockname()[1]
    sock.close()
    away = Region(f"http://127.0.0.1:{port}", "secret", client, patience=5.0, clock=QuickClock(0.0))
    with pytest.raises(RegionRefused, match="did not answer GET /healthz for 5 s"):
        await away.wait_ready()
    await client.close()


def test_an_address_that_is_none_is_refused():
    with pytest.raises(RegionRefused, match="not of the form http://host:port"):
        Region("ftp://kinema", "secret", Client())


def test_the_catalogue_has_two_shelves_and_begins_with_the_quick_film():
    catalogue = items()
    assert catalogue[0].slug == "nobody-up-yet"
    assert {item.details.shelf for item in catalogue} == {STUDIO_SHELF, CLIPS_SHELF}


def test_the_clips_are_there_small_and_attributed():
    said = (DIRECTORY / "ATTRIBUTION.md").read_text()
    assert sum(path.stat().st_size for path in DIRECTORY.iterdir()) < 5_000_000
    assert {clip.file for clip in CLIPS} == {path.name for path in DIRECTORY.glob("*.mp4")}
    assert all(clip.file in said for clip in CLIPS)
    assert "Blender Foundation" in CLIPS[0].credits
    assert all("C" in clip.credits and Path(clip.file).suffix == ".mp4" for clip in CLIPS)


def test_plain_lines_say_each_phase_and_quarter_once():
    out = io.StringIO()
    lines = Lines(out)
    for share in (0.0, 0.1, 0.2, 0.3, 0.31):
        lines.update("First", "rendering", share, 4.0)
    lines.update("First", "ready", 1.0)
    assert out.getvalue().splitlines() == [
        "demo: First: rendering",
        "demo: First: rendering 30%, 4 s left",
        "demo: First: ready",
    ]
