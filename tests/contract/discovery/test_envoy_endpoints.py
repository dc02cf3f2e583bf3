"""Real Envoy, told by our registry where the instances of a service are: it routes to one and follows when it is replaced."""

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import msgspec
import pytest

from kinema.http import Server
from kinema.rpc.service import open_socket
from tests.contract.discovery.registry_servers import two_registries, until
from tests.unit.discovery.registrants import ours

ENVOY = """
node: {{ id: test, cluster: test }}
admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {admin} }} }} }}
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: test
          route_config:
            virtual_hosts:
            - {{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: catalog }} }}] }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: catalog
    type: EDS
    connect_timeout: 1s
    common_lb_config: {{ healthy_panic_threshold: {{ value: 0 }} }}
    eds_cluster_config:
      eds_config:
        resource_api_version: V3
        api_config_source:
          {{ api_type: REST, transport_api_version: V3, cluster_names: [registry], refresh_delay: 0.2s }}
  - name: registry
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: registry
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {registry} }} }} }}
"""


class Instance:
    """An instance that answers with its number, in a thread with a loop of its own."""

    def __init__(self, number):
        self.number = number
        self.loop = asyncio.new_event_loop()
        self.listener = open_socket("127.0.0.1")
        self.port = self.listener.getsockname()[1]
        self.registration = ours(number=number, port=self.port)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        asyncio.set_event_loop(self.loop)
        server = Server(lambda exchange: exchange.reply(200, (), str(self.number).encode()))
        self.loop.run_until_complete(server.start(self.listener))
        self.loop.run_forever()
        self.loop.run_until_complete(server.drain(0.1))

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout=10)


@pytest.fixture
def envoy(tmp_path):
    """A registry and an Envoy that asks it."""
    registry, _ = two_registries(tmp_path / "data")
    registry.start()
    holders = [open_socket("127.0.0.1") for _ in range(2)]
    port, admin = (holder.getsockname()[1] for holder in holders)
    for holder in holders:
        holder.close()
    config = tmp_path / "envoy.yaml"
    config.write_text(ENVOY.format(port=port, admin=admin, registry=registry.port))
    binary = Path(sys.executable).parent / "envoy"
    command = [str(binary), "-c", str(config), "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield registry, port
    process.kill()
    process.wait()
    registry.stop()


def test_envoy_routes_to_an_instance_and_follows_when_it_is_replaced(envoy):
    registry, port = envoy
    beating = threading.Event()
    alive = {}

    def beat():
        while not beating.wait(0.5):
            for one in tuple(alive.values()):
                registry.ours("PUT", f"/catalog/{one.registration.instance}", msgspec.to_builtins(one.registration))

    def asked():
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
            return answer.text if answer.status_code == 200 else answer.status_code
        return None

    threading.Thread(target=beat, daemon=True).start()
    first, second = Instance(1), Instance(2)
    try:
        until(lambda: asked() == 503)  # Envoy runs, and has been told that there is nobody
        alive[1] = first
        until(lambda: asked() == "1")
        alive[2] = second
        until(lambda: asked() == "2")
        del alive[1]
        registry.ours("DELETE", "/catalog/catalog-1")
        time.sleep(1)  # more than one refresh
        first.stop()
        assert [asked() for _ in range(10)] == ["2"] * 10
        registry.ours("PUT", "/catalog/catalog-2/status", {"status": "OUT_OF_SERVICE"}, "operator")
        until(lambda: asked() == 503)  # draining: nothing new is sent there
    finally:
        beating.set()
        second.stop()
