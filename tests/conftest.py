"""What holds for every test: generated examples are judged by their outcome, never by how busy the machine is."""

from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("kinema", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kinema")


class ByParts(LoadScopeScheduling):
    """What runs in one process when `make test` runs two: a file, the contracts of a port, all that starts regions.

    So what a file's tests share is made once, and two regions with browsers never compete for the machine.
    """

    def _split_scope(self, nodeid: str) -> str:
        parts = nodeid.partition("::")[0].split("/")
        return {"e2e": "regions", "slow": "regions", "contract": "/".join(parts[:3])}.get(parts[1], "/".join(parts))


def pytest_xdist_make_scheduler(config, log):
    return ByParts(config, log)
