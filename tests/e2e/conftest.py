"""Regions that the end-to-end tests share: one for the session, whose films stay, and fresh ones for tests that end them."""

import pytest

from tests.support.browser import browser
from tests.support.clips import make_clip
from tests.support.regions import RegionUnderTest

FILM = "First light"


@pytest.fixture(scope="session")
def region(tmp_path_factory):
    """A running region, shared by the session. Tests may add films and kill processes, and leave it running."""
    running = RegionUnderTest(tmp_path_factory.mktemp("region") / "data")
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="session")
def region_with_film(region, tmp_path_factory):
    """The shared region with one film, `FILM`; `region.film` is its title's id."""
    # A picture of many details, so that its ladder has several sizes.
    path = tmp_path_factory.mktemp("clips") / "first.mp4"
    clip = make_clip(path, seconds=20, size="854x480", rate="12", picture="mandelbrot")
    region.film = region.add(clip, FILM)
    return region


@pytest.fixture
def own_region(tmp_path):
    """A region that is not started yet and belongs to one test."""
    alone = RegionUnderTest(tmp_path / "data")
    yield alone
    alone.stop()


@pytest.fixture
async def chromium():
    """A headless Chromium."""
    async with browser() as running:
        yield running
