"""From nothing to a playing film: exec of `kinema up --demo` on an empty data directory to `currentTime > 1 s` in Chromium.

Every run has an empty data directory and so an empty render cache. The browser is started together with the region, as a
person would have one open. Phases are printed for each run; the figure is the median. Target: 20 s on two cores. The play
goes on to the film's tenth second, while the rest of the catalogue is rendered and encoded, and its stalls are counted: none
is allowed.
"""

import argparse
import asyncio
import json
import signal
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from playwright.async_api import Browser, Page

from tests.support.browser import browser, wait_for_time
from tests.support.pages import stalls

TARGET_SECONDS = 20.0


class Run(msgspec.Struct, frozen=True):
    """Seconds from exec to the end of each phase, and how often the film stood still up to its tenth second."""

    ready: float
    home: float
    clicked: float
    playing: float
    one_second: float
    stalls: int


def free_port() -> int:
    """Return a port such that it and the next one are free."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


async def ready_address(process: asyncio.subprocess.Process) -> str:
    """Return the address of the region's ready line."""
    if process.stdout is None:
        raise RuntimeError("the region was started without a pipe for its output")
    while line := (await process.stdout.readline()).decode():
        if line.startswith("ready "):
            return line.split()[1]
    raise RuntimeError("the region stopped before it was ready")


async def play(page: Page, address: str, since: float) -> Run:
    """Open the claim link, play the first film and return the seconds since `since` of each phase."""
    ready = time.monotonic() - since
    await page.goto(address)
    await page.get_by_test_id("title-card").first.wait_for(timeout=60_000)
    home = time.monotonic() - since
    await page.get_by_test_id("billboard-play").click()
    clicked = time.monotonic() - since
    await wait_for_time(page, 0, 60)
    playing = time.monotonic() - since
    await wait_for_time(page, 1, 60)
    one_second = time.monotonic() - since
    await wait_for_time(page, 10, 60)
    return Run(ready, home, clicked, playing, one_second, await stalls(page))


async def one_run(chromium: Browser) -> Run:
    """Start a region on an empty directory, play, stop it."""
    with tempfile.TemporaryDirectory(prefix="kinema-first-play-") as data:
        command = [
            str(Path(sys.executable).parent / "kinema"),
            "up",
            "--demo",
            "--data",
            data,
            "--port",
            str(free_port()),
        ]
        since = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        context = await chromium.new_context()
        try:
            return await play(await context.new_page(), await ready_address(process), since)
        finally:
            await context.close()
            process.send_signal(signal.SIGINT)
            await process.wait()


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs: list[Run] = []
    print(
        f"{'run':>4} {'ready':>8} {'home':>8} {'clicked':>8} {'playing':>8} {'> 1 s':>8} {'stalls':>6}   seconds since exec"
    )
    async with browser() as chromium:
        for number in range(1, parser.parse_args().runs + 1):
            run = await one_run(chromium)
            runs.append(run)
            print(
                f"{number:>4} {run.ready:8.2f} {run.home:8.2f} {run.clicked:8.2f} {run.playing:8.2f} {run.one_second:8.2f}"
            )
    median = statistics.median(run.one_second for run in runs)
    print(f"median {median:.2f} s, target {TARGET_SECONDS:.0f} s")
    print(
        json.dumps(
            {
                "benchmark": "first_play",
                "median_seconds": round(median, 2),
                "target_seconds": TARGET_SECONDS,
                "met": median <= TARGET_SECONDS and not any(run.stalls for run in runs),
                "runs": [msgspec.to_builtins(run) for run in runs],
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
