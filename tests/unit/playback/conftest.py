import pytest

from tests.unit.playback.packaged import package


@pytest.fixture(scope="session")
def packaged(tmp_path_factory):
    return package(tmp_path_factory.mktemp("packaged"))
