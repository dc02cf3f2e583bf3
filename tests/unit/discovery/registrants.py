"""What the tests of discovery register."""

from kinema.core.clock import ManualClock
from kinema.model.discovery import Instance
from kinema.services.discovery.lease_time import TICK_SECONDS
from kinema.services.discovery.registrant import Registrant


def foreign(app="ORDERS", instance_id="orders-1", **said):
    said = {"host_name": "host", "ip_address": "10.0.0.1", "last_dirty": 1, **said}
    return Registrant(app=app, id=instance_id, **said)


def ours(service="catalog", number=1, port=80, started=0.0, **metadata):
    metadata = {"started": str(started), **metadata}
    return Instance(service, f"{service}-{number}", f"127.0.0.1:{port}", "home", "a", "0", metadata)


def wait(clock: ManualClock, registry, seconds):
    """Let time pass as a running registry sees it: tick by tick."""
    until = clock.now() + seconds
    while clock.now() < until - 1e-6:
        clock.advance(min(TICK_SECONDS, until - clock.now()))
        registry.tick()
