"""A protected film in a real Chromium: its bytes are encrypted on the way, keys come by a licence, and it plays by EME ClearKey."""

import json
import subprocess

import pytest

from kinema.services.encoding.tools import find_tools
from tests.support.browser import wait_for_time
from tests.support.clips import make_clip
from tests.support.pages import decoded_frames, hold_controls, open_title, play
from tests.support.regions import Viewer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture
def region(own_region, tmp_path):
    """A region that encrypts its films, with one film of 12 seconds."""
    own_region.data_dir.mkdir()
    (own_region.data_dir / "properties.toml").write_text("[encoding]\nprotected = true\n")
    own_region.start()
    own_region.film = own_region.add(make_clip(tmp_path / "secret.mp4", seconds=12, size="854x480"), "Secret")
    return own_region


def plays_without_a_key(region, directory):
    """Say whether ffmpeg decodes what an edge sends when nobody gives it a key."""
    viewer = Viewer(region, region.film)
    viewer.start()
    file = directory / "stolen.mp4"
    file.write_bytes(viewer.whole_track())
    check = ["-v", "error", "-xerror", "-i", str(file), "-f", "null", "-"]
    return not subprocess.run([find_tools().ffmpeg, *check], capture_output=True, check=False).returncode


async def test_a_protected_film_plays_and_its_bytes_alone_do_not(region, chromium, tmp_path):
    context = await chromium.new_context()
    page = await context.new_page()
    licences = []
    page.on("response", lambda answer: licences.append(answer.status) if answer.url.endswith("/licence") else None)
    await page.goto(region.claim_link())
    await page.get_by_test_id("nav-studio").wait_for()
    await open_title(page, region.url, "Secret")
    await play(page)
    await wait_for_time(page, 3, 30)
    assert await decoded_frames(page) > 24
    assert await page.evaluate("document.querySelector('video').mediaKeys !== null"), "decrypted by the browser"
    assert set(licences) == {200}

    # Small pictures are clear, come from an edge, and the page's own policy lets them be shown.
    async with page.expect_response(lambda answer: "thumbnails-1.jpg" in answer.url) as pictures:
        await hold_controls(page)
        await page.get_by_test_id("seek-slider").hover()
    assert (await pictures.value).status == 200
    await page.get_by_test_id("seek-preview").wait_for()
    await context.close()
    assert not plays_without_a_key(region, tmp_path)
    asset = json.loads(region.ask("GET", f"/v1/titles/{region.film}").body)["asset"]
    issued = region.ask("GET", f"/v1/plays/licences/{asset}").json()["licences"]
    assert len(issued) == len(licences), "each licence is written down"
