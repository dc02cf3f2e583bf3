"""Registries on real sockets that are stopped and started again on their ports, and a clock on which leases end in seconds."""

import asyncio
import threading
import time

import httpx

from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.rpc.service import make_server, open_socket
from kinema.services.discovery import create_discovery
from tests.support.services import as_


class FastClock(SystemClock):
    """The machine's clock at many times its pace; sleeping too."""

    def __init__(self, pace: float) -> None:
        self.pace = pace
        self._wall, self._steady = super().now(), super().monotonic()

    def now(self) -> float:
        return self._wall + (super().now() - self._wall) * self.pace

    def monotonic(self) -> float:
        return self._steady + (super().monotonic() - self._steady) * self.pace

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.pace)


class RegistryServer:
    """One registry in a thread with a loop of its own."""

    def __init__(self, number, keys, clock, port, peers, token="", regions=None):
        self.regions = regions
        self.number, self.keys, self.clock, self.port, self.peers, self.token = number, keys, clock, port, peers, token
        self.address = f"127.0.0.1:{port}"
        login = f"any:{token}@" if token else ""
        self.url = f"http://{login}{self.address}/eureka/v2"
        self.thread = None
        self.http = httpx.Client(timeout=10)

    def start(self):
        app = create_discovery(
            instance=f"discovery-{self.number}",
            keys=self.keys,
            clock=self.clock,
            peers=self.peers,
            token=self.token,
            regions=self.regions,
        )
        listener = open_socket("127.0.0.1", self.port)
        self.server = make_server(app, graceful_seconds=1)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve(sockets=[listener])), daemon=True)
        self.thread.start()
        until(lambda: self.server.started)
        return self

    def stop(self):
        if self.thread is not None:
            self.server.should_exit = True
            self.thread.join(timeout=10)
            self.thread = None

    def call(self, method, path, **options):
        return self.http.request(method, f"{self.url}/{path}", **options)

    def statuses(self, app="ORDERS"):
        """Every instance of an application with its status."""
        answer = self.call("GET", f"apps/{app}", headers={"accept": "application/json"})
        if answer.status_code == 404:
            return {}
        return {one["instanceId"]: one["status"] for one in answer.json()["application"]["instance"]}

    def ours(self, method, path="", body=None, role="service"):
        """Call the region's own contract."""
        headers = as_(role, self.keys, self.clock)
        return self.http.request(method, f"http://{self.address}/v1/registry{path}", json=body, headers=headers)

    def register(self, instance_id, app="ORDERS", dirty=None, **said):
        dirty = int(self.clock.now() * 1000) if dirty is None else dirty
        body = {
            "instanceId": instance_id,
            "hostName": "127.0.0.1",
            "app": app,
            "ipAddr": "127.0.0.1",
            "port": {"$": 8080, "@enabled": "true"},
            "dataCenterInfo": {"@class": "com.netflix.appinfo.MyDataCenterInfo", "name": "MyOwn"},
            "lastDirtyTimestamp": str(dirty),
            **said,
        }
        answer = self.call("POST", f"apps/{app}", json={"instance": body})
        assert answer.status_code == 204, answer.text
        return dirty


def until(condition, seconds=20.0):
    """Wait until the condition holds; fail after this many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not true after {seconds} s"
        time.sleep(0.02)


def two_registries(path, clock=None, token=""):
    """Return two registries that are each other's peers; not yet started."""
    keys, clock = KeyRing(path), clock or SystemClock()
    holders = [open_socket("127.0.0.1") for _ in range(2)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    addresses = [f"127.0.0.1:{port}" for port in ports]
    return [
        RegistryServer(number + 1, keys, clock, ports[number], (addresses[1 - number],), token) for number in range(2)
    ]
