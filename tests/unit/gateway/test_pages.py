"""The user interface's files as the gateway serves them."""

import gzip

import pytest

from tests.support.fabric import fabric, until

HTML = (b"accept", b"text/html,*/*")


@pytest.fixture
def built(tmp_path):
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Kinema</title>" + "<p>home</p>" * 100)
    (folder / "assets" / "app-1a2b.js").write_text("console.log('kinema');" * 100)
    (folder / "icon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


async def test_files_are_typed_cached_compressed_and_revalidated(tmp_path, built):
    async with fabric(tmp_path, gateway=True, ui_dir=built) as region:
        page = await region.get("/", HTML)
        assert page.status == 200
        assert page.headers.get(b"content-type") == b"text/html; charset=utf-8"
        assert page.headers.get(b"cache-control") == b"no-cache"
        assert page.headers.get(b"x-content-type-options") == b"nosniff"
        script = await region.get("/assets/app-1a2b.js", (b"accept-encoding", b"gzip, br"))
        assert script.headers.get(b"cache-control") == b"public, max-age=31536000, immutable"
        assert gzip.decompress(script.body) == (built / "assets" / "app-1a2b.js").read_bytes()
        assert script.headers.get(b"vary") == b"accept-encoding"
        for refusing in (b"gzip;q=0", b"*;q=0", b"br, gzip;q=0.0", b"identity, gzip;q=0.5"):
            plain = await region.get("/assets/app-1a2b.js", (b"accept-encoding", refusing))
            assert plain.headers.get(b"content-encoding") is None
            assert plain.body == (built / "assets" / "app-1a2b.js").read_bytes()
        again = await region.get("/", HTML, (b"if-none-match", page.headers.get(b"etag")))
        assert (again.status, again.body) == (304, b"")
        head = await region.get("/", HTML, method="HEAD")
        assert head.headers.get(b"content-length") == b"%d" % len(page.body)


async def test_the_policy_names_the_edges_and_nothing_else(tmp_path, built):
    async with fabric(tmp_path, gateway=True, ui_dir=built) as region:
        await region.upstream("edge", lambda exchange: exchange.reply(200), metadata={"public_base": ":8081"})
        policy = (await region.get("/", HTML, (b"host", b"films.example:8080"))).headers.get(b"content-security-policy")
        assert b"connect-src 'self' http://films.example:8081;" in policy
        assert b"worker-src 'self' blob:" in policy
        assert b"frame-ancestors 'none'" in policy
        for host in (b"x; script-src *", b"x;script-src:1"):
            answer = await region.get("/", HTML, (b"host", host))
            policy = answer.headers.get(b"content-security-policy") or b""
            assert answer.status == 400 or b"x;" not in policy


async def test_other_paths_are_the_ui_for_people_and_404_for_programs(tmp_path, built):
    async with fabric(tmp_path, gateway=True, ui_dir=built) as region:
        page = await region.get("/title/ttl_x", HTML)
        assert (page.status, page.body) == (200, (built / "index.html").read_bytes())
        assert (await region.get("/assets/gone.js", (b"accept", b"*/*"))).status == 404
        assert (await region.get("/link.txt", (b"accept", b"*/*"))).status == 404
        assert (await region.get("/v1/nothing", HTML)).status == 404
        assert (await region.get("/", method="POST")).status == 405
        for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/./index.html"):
            assert (await region.get(path, HTML)).status == 400, path


async def test_without_a_build_a_page_says_what_to_do_and_a_new_build_is_noticed(tmp_path):
    folder = tmp_path / "dist"
    async with fabric(tmp_path, gateway=True, ui_dir=folder) as region:
        page = await region.get("/", HTML)
        assert page.status == 503
        assert b"make setup" in page.body
        folder.mkdir()
        (folder / "new.html").write_text("built")
        (folder / "new.html").replace(folder / "index.html")
        await until(lambda: region.gateway._pages._pages)
        assert (await region.get("/", HTML)).body == b"built"
