"""A person's way through a region in a real Chromium: claim, home, play, seek, quality; then an upload until it plays."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.support.browser import current_time, wait_for_time
from tests.support.clips import REFUSED, make_clip
from tests.support.pages import (
    axe_violations,
    decoded_frames,
    hold_controls,
    open_title,
    play,
    stalls,
    title_card,
    video_height,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

FILM = "First light"  # what the shared region holds


@pytest.fixture
async def page(region, chromium):
    """A page of a browser that has claimed the region."""
    context = await chromium.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.goto(region.claim_link())
    await page.get_by_test_id("nav-studio").wait_for()
    yield page
    await context.close()


async def test_a_film_plays_without_a_stall_seeks_and_changes_quality(page, region_with_film):
    await open_title(page, region_with_film.url, FILM)
    await play(page)
    await wait_for_time(page, 1, 20)
    start, frames, stalled = await current_time(page), await decoded_frames(page), await stalls(page)
    await wait_for_time(page, start + 5, 15)
    assert await decoded_frames(page) >= frames + 5 * 12 - 6
    assert await stalls(page) == stalled

    await hold_controls(page)
    await page.get_by_test_id("seek-slider").focus()
    before = await current_time(page)
    await page.keyboard.press("l")
    await wait_for_time(page, before + 9, 10)

    await page.keyboard.press(
        "0"
    )  # back to the start: a new quality comes in after the next seconds, and they must exist
    await hold_controls(page)
    await page.get_by_test_id("quality-button").click()
    options = page.get_by_test_id("quality-option")
    assert await options.count() >= 3
    smallest = await options.last.get_attribute("data-value")
    assert smallest is not None
    await options.last.click()
    await page.wait_for_function(
        "(height) => document.querySelector('video').videoHeight === height", arg=int(smallest[:-1]), timeout=20_000
    )
    assert await video_height(page) == int(smallest[:-1])
    at = await current_time(page)
    await wait_for_time(page, at + 2, 10)


async def test_an_upload_through_the_page_appears_without_a_reload_and_plays(page, region, tmp_path):
    home = await page.context.new_page()
    await home.goto(f"{region.url}/")
    await page.goto(f"{region.url}/studio")
    clip = make_clip(tmp_path / "dropped.mp4", seconds=8)
    await page.get_by_test_id("upload-input").set_input_files(str(clip))
    await page.get_by_test_id("upload-title").fill('A "dropped" film')
    await page.get_by_test_id("upload-start").click()
    card = title_card(home, 'A "dropped" film')
    await card.wait_for(timeout=60_000)
    notice = home.get_by_test_id("title-notice")  # a quiet word about it, the same on every page
    await notice.get_by_role("link", name='A "dropped" film').wait_for(timeout=20_000)
    assert await axe_violations(home) == []
    await notice.get_by_role("button").click()
    await notice.wait_for(state="detached", timeout=10_000)
    await card.click()
    await play(home)
    await wait_for_time(home, 2, 30)


@pytest.mark.parametrize("kind", REFUSED)
async def test_a_file_that_is_no_film_gets_one_clear_sentence_on_the_page(page, region, tmp_path, kind):
    path = REFUSED[kind](tmp_path / "broken.mp4")
    await page.goto(f"{region.url}/studio")
    await page.get_by_test_id("upload-input").set_input_files(str(path))
    await page.get_by_test_id("upload-title").fill(f"Broken: {kind}")
    await page.get_by_test_id("upload-start").click()
    said = page.get_by_test_id("job-error").or_(page.get_by_test_id("upload-error")).first
    await expect(said).to_be_visible(timeout=30_000)
    sentence = await said.inner_text()
    assert sentence.strip().endswith(".")
    assert "Traceback" not in sentence


@pytest.mark.parametrize("path", ["/", "/studio", "/account", "/nowhere"])
async def test_pages_have_no_accessibility_violations(page, region_with_film, path):
    await page.goto(f"{region_with_film.url}{path}")
    await page.get_by_role("main").wait_for()
    assert await axe_violations(page) == []


async def test_the_title_page_has_no_accessibility_violations(page, region_with_film):
    await open_title(page, region_with_film.url, FILM)
    assert await axe_violations(page) == []


async def test_the_sign_in_page_has_no_accessibility_violations(region, chromium):
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(f"{region.url}/")
    await page.get_by_test_id("sign-in-form").wait_for()
    assert await axe_violations(page) == []
    await context.close()


async def test_the_player_has_no_accessibility_violations_in_any_state(page, region_with_film):
    await open_title(page, region_with_film.url, FILM)
    await play(page)
    await hold_controls(page)
    assert await axe_violations(page) == [], "playing"
    await page.keyboard.press("k")
    await page.wait_for_function("() => document.querySelector('video').paused")
    assert await axe_violations(page) == [], "paused"
    await page.get_by_test_id("quality-button").click()
    await page.get_by_test_id("quality-option").first.wait_for()
    assert await axe_violations(page) == [], "with the quality menu open"
    await page.keyboard.press("Escape")
    await page.get_by_test_id("help-button").click()
    await page.get_by_test_id("help-panel").wait_for()
    assert await axe_violations(page) == [], "with the help open"


async def test_every_page_is_reached_by_the_keyboard_alone(page, region_with_film):
    await page.goto(f"{region_with_film.url}/")
    await title_card(page, FILM).wait_for()
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement?.closest('[data-testid=title-card]') !== null"):
            break
    await page.keyboard.press("Enter")
    await page.get_by_test_id("play-button").wait_for()


async def test_a_picture_of_the_home_page(page, region_with_film, request):
    await page.goto(f"{region_with_film.url}/")
    await title_card(page, FILM).wait_for()
    target = Path(request.config.rootpath) / "build" / "screenshots" / "home.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=str(target))
    assert target.stat().st_size > 20_000
