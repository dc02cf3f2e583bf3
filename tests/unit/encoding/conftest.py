import pytest

from tests.support.clips import make_clip
from tests.unit.encoding.room import open_room


@pytest.fixture
async def opened(tmp_path):
    async with open_room(tmp_path) as both:
        yield both


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """Nine seconds of 480 lines at 12 pictures a second, with sound: three rungs, three segments."""
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=9, size="854x480", rate="12")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Two seconds of 180 lines: one rung."""
    return make_clip(tmp_path_factory.mktemp("clip") / "tiny.mp4", seconds=2, size="320x180")
