"""What a person does on Kinema's pages, for the browser tests."""

import re
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page, expect

AXE = Path(__file__).parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def title_card(page: Page, title: str) -> Locator:
    """Return the card of a title on the home page."""
    return page.get_by_test_id("title-card").filter(has_text=re.compile(re.escape(title))).first


async def open_title(page: Page, url: str, title: str) -> None:
    """Go to the home page and choose a title; waits for it to appear without a reload."""
    await page.goto(f"{url}/")
    await title_card(page, title).click(timeout=60_000)
    await page.get_by_test_id("play-button").wait_for()


async def play(page: Page) -> None:
    """Press play on a title's page and wait until the film runs."""
    await page.get_by_test_id("play-button").click()
    await page.wait_for_function("() => (document.querySelector('video')?.currentTime ?? 0) > 0.2", timeout=30_000)


async def stalls(page: Page) -> int:
    """Return how often the player has had to wait for data in mid-play."""
    return int(await page.get_by_test_id("player").get_attribute("data-stalls") or "0")


async def decoded_frames(page: Page) -> int:
    """Return how many frames the video element has decoded."""
    count: int = await page.evaluate("document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames")
    return count


async def video_height(page: Page) -> int:
    """Return the height in pixels of the rung that is on the screen."""
    height: int = await page.evaluate("document.querySelector('video').videoHeight")
    return height


async def axe_violations(page: Page) -> list[str]:
    """Run axe-core on the page and return one line for each violation."""
    # Colours are judged when nothing fades any more.
    await page.wait_for_function(
        "() => document.getAnimations().every(one => one.playState !== 'running' || one.effect.getTiming().iterations === Infinity)"
    )
    await page.evaluate(AXE.read_text())  # not as a script tag: the page's own policy forbids those
    found: list[dict[str, Any]] = await page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}}).then(result => result.violations)", _RULES
    )
    return [
        f"{one['id']}: {one['help']} ({', '.join(str(node['target']) for node in one['nodes'][:3])})" for one in found
    ]


async def hold_controls(page: Page) -> None:
    """Move the pointer, so that the player's controls are shown."""
    await page.mouse.move(200, 200)
    await page.mouse.move(240, 240)
    await expect(page.get_by_test_id("play-pause")).to_be_visible()
