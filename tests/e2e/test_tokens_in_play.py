"""A long play in a real Chromium: tokens expire, keys are rotated, processes are killed, and the film goes on."""

import pytest

from tests.support.browser import current_time, wait_for_time
from tests.support.clips import make_clip
from tests.support.pages import open_title, play

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

TOKEN_SECONDS = 6


@pytest.fixture
async def page(own_region, tmp_path, chromium):
    """A page that plays a film of 90 seconds in a region whose tokens live for seconds."""
    own_region.data_dir.mkdir()
    (own_region.data_dir / "kinema.toml").write_text(f"media_token_seconds = {TOKEN_SECONDS}\n")
    own_region.start()
    own_region.wait_whole()
    own_region.add(make_clip(tmp_path / "long.mp4", seconds=90, size="320x180"), "Long")
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(own_region.claim_link())
    await page.get_by_test_id("nav-studio").wait_for()
    await open_title(page, own_region.url, "Long")
    await play(page)
    yield page
    await context.close()


async def test_a_film_goes_on_past_tokens_pauses_rotated_keys_and_killed_processes(page, own_region):
    tokens = set()
    page.on(
        "request",
        lambda request: tokens.add(request.url.split("/m/")[1].split("/")[0]) if "/m/" in request.url else None,
    )

    assert own_region.kinema("keys", "rotate").returncode == 0
    await page.evaluate("() => { document.querySelector('video').currentTime = 30 }")
    await wait_for_time(page, 31, 15)

    await page.evaluate("() => document.querySelector('video').pause()")
    await page.context.set_offline(True)  # so that nothing is renewed meanwhile
    paused = await page.evaluate("() => performance.now()")
    await page.wait_for_function(
        "([then, ms]) => performance.now() - then > ms", arg=[paused, (TOKEN_SECONDS + 2) * 1000]
    )
    await page.context.set_offline(False)
    await page.evaluate(
        "() => { const video = document.querySelector('video'); video.currentTime = 60; void video.play() }"
    )
    await wait_for_time(page, 61, 20)
    assert len(tokens) >= 2

    for name, there in (("edge-1", 5), ("gateway-1", 45), ("cell-1", 15)):
        own_region.kill(name)
        await page.evaluate("there => { document.querySelector('video').currentTime = there }", there)
        await wait_for_time(page, there + 1, 10)
        assert there + 1 < await current_time(page) < there + 30
