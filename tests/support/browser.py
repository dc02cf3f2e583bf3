"""A real Chromium for tests and benchmarks: Debian's, driven by Playwright, told to leave the network alone."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page, Playwright, async_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


def chromium_path() -> str:
    """Return the path of the machine's Chromium; raises FileNotFoundError with what to install."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise FileNotFoundError("There is no Chromium on this machine; install it with: apt install chromium")
    return found


@asynccontextmanager
async def browser(playwright: Playwright | None = None) -> AsyncIterator[Browser]:
    """Start a headless Chromium and stop it at the end."""
    if playwright is None:
        async with async_playwright() as started, browser(started) as chromium:
            yield chromium
        return
    chromium = await playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
    try:
        yield chromium
    finally:
        await chromium.close()


async def current_time(page: Page) -> float:
    """Return where the page's video stands, in seconds; 0 while there is none."""
    found: float = await page.evaluate("document.querySelector('video')?.currentTime ?? 0")
    return found


async def wait_for_time(page: Page, seconds: float, timeout_seconds: float) -> None:
    """Wait until the page's video has come past this time; raises Playwright's TimeoutError."""
    await page.wait_for_function(
        "seconds => (document.querySelector('video')?.currentTime ?? 0) > seconds",
        arg=seconds,
        timeout=timeout_seconds * 1000,
    )
