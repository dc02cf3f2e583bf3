import pytest

from tests.contract.discovery.registry_servers import two_registries


@pytest.fixture
def registries(tmp_path):
    """Two registries that are each other's peers."""
    pair = two_registries(tmp_path)
    for registry in pair:
        registry.start()
    yield pair
    for registry in pair:
        registry.stop()
