"""Other people's clients of Eureka against our registries: they register, find, follow, survive a registry, and go."""

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from kinema.rpc.service import open_socket
from tests.contract.discovery.registry_servers import two_registries, until

HERE = Path(__file__).parent
CLIENTS = HERE.parents[1] / "clients" / "node_modules"


def node():
    """Node of the environment, or of the system."""
    beside = Path(sys.executable).parent / "node"
    return str(beside) if beside.exists() else shutil.which("node")


class Program:
    """A client in a process of its own; it answers each line with a line of JSON."""

    def __init__(self, command, **environment):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
        assert self.answer() == "started"

    def answer(self, seconds=20.0):
        assert select.select([self.process.stdout], [], [], seconds)[0], "the client says nothing"
        return json.loads(self.process.stdout.readline())

    def __call__(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def python_client(registries, app="pays", port=9001):
    urls = ",".join(registry.url for registry in registries)
    return Program([sys.executable, str(HERE / "py_eureka_child.py"), urls, app, str(port)])


def javascript_client(registries, app="shows", port=9002):
    said = {"registries": [f"{registry.url}/apps/" for registry in registries], "app": app, "port": port}
    return Program([node(), str(HERE / "eureka_js_child.js"), json.dumps(said)], CLIENTS=str(CLIENTS))


@pytest.fixture
def programs():
    with contextlib.ExitStack() as stack:

        def start(make, *arguments, **options):
            program = make(*arguments, **options)
            stack.callback(program.end)
            return program

        yield start


def test_py_eureka_client_from_registering_to_its_end(registries, programs):
    one, other = registries
    program = programs(python_client, registries)
    (instance_id,) = one.statuses("PAYS")
    assert instance_id == "127.0.0.1:pays:9001"  # which it sends as %3A
    until(lambda: other.statuses("PAYS") == {instance_id: "UP"})
    program("status OUT_OF_SERVICE")
    assert one.statuses("PAYS") == {instance_id: "OUT_OF_SERVICE"}
    program("restore")
    until(lambda: one.statuses("PAYS") == {instance_id: "UP"})  # unknown, so its heartbeat registers it again
    assert program("stop") == "stopped"
    # Its thread goes on, and registers again what it has just cancelled: gone for good only with its process.
    until(lambda: one.statuses("PAYS") == {instance_id: "UP"})
    program.end()
    until(lambda: one.statuses("PAYS") == {} == other.statuses("PAYS"))


def test_py_eureka_client_finds_and_calls_and_follows_changes(registries, programs):
    answering = open_socket("127.0.0.1")
    answering.setblocking(True)
    port = answering.getsockname()[1]
    program = programs(python_client, registries)
    registries[0].register("s-1", app="SHOP", port={"$": port, "@enabled": "true"}, vipAddress="shop")
    until(lambda: program("apps").get("SHOP") == {"s-1": "UP"})
    program.process.stdin.write(b"ask SHOP\n")
    program.process.stdin.flush()
    connection, _ = answering.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
    assert program.answer() == "hello"
    answering.close()
    registries[1].call("DELETE", "apps/SHOP/s-1")
    until(lambda: not program("apps").get("SHOP"))


def test_eureka_js_client_from_registering_to_its_end(registries, programs):
    one, other = registries
    program = programs(javascript_client, registries)
    until(lambda: other.statuses("SHOWS") == {"127.0.0.1:shows:9002": "UP"})
    one.register("s-1", app="SHOP", vipAddress="shop")
    until(lambda: program("app SHOP") == [["s-1", "UP"]])
    assert program("vip shop") == [8080]
    one.call("PUT", "apps/SHOP/s-1/status?value=DOWN")
    until(lambda: program("app SHOP") == [["s-1", "DOWN"]])
    one.call("DELETE", "apps/SHOP/s-1")
    until(lambda: program("app SHOP") == [])
    assert program("stop") == "stopped"
    assert one.statuses("SHOWS") == {}


@pytest.mark.parametrize(("make", "app"), [(python_client, "PAYS"), (javascript_client, "SHOWS")])
def test_a_client_that_loses_one_registry_goes_on_with_the_next(registries, programs, make, app):
    one, other = registries
    program = programs(make, registries)
    until(lambda: len(other.statuses(app)) == 1)
    one.stop()
    time.sleep(2.5)  # longer than its lease: heartbeats keep it
    assert len(other.statuses(app)) == 1
    one.start()
    assert len(one.statuses(app)) == 1  # full when it answers
    other.stop()
    time.sleep(2.5)
    assert len(one.statuses(app)) == 1
    assert program.process.poll() is None


@pytest.mark.parametrize(("make", "app"), [(python_client, "PAYS"), (javascript_client, "SHOWS")])
def test_clients_bring_the_token_in_the_address(tmp_path, programs, make, app):
    pair = two_registries(tmp_path, token="hush-hush")
    try:
        for registry in pair:
            registry.start()
        programs(make, pair)
        assert len(pair[0].statuses(app)) == 1
        bare = f"http://{pair[0].address}/eureka/v2/apps"
        assert httpx.get(bare).status_code == 401
    finally:
        for registry in pair:
            registry.stop()


# -- Prometheus ------------------------------------------------------------------------------------------------------------

PROMETHEUS = """
global: {{ scrape_interval: 1s }}
scrape_configs:
- job_name: eureka
  eureka_sd_configs:
  - {{ server: "http://{address}/eureka/v2", refresh_interval: 1s, basic_auth: {{ username: any, password: hush }} }}
  relabel_configs:
  - {{ source_labels: [__meta_eureka_app_name], target_label: app }}
  - {{ source_labels: [__meta_eureka_app_instance_metadata_zone], target_label: zone }}
"""


def test_prometheus_finds_its_targets(tmp_path, programs):
    (registry, _) = two_registries(tmp_path / "data", token="hush")
    config = tmp_path / "prometheus.yml"
    config.write_text(PROMETHEUS.format(address=registry.address))
    holder = open_socket("127.0.0.1")
    port = holder.getsockname()[1]
    holder.close()
    command = [
        shutil.which("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'series'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    registry.start()
    prometheus = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def targets():
        with contextlib.suppress(httpx.HTTPError, ValueError):  # while it starts
            active = httpx.get(f"http://127.0.0.1:{port}/api/v1/targets").json()["data"]["activeTargets"]
            return {
                (one["labels"]["app"], one["discoveredLabels"]["__address__"], one["labels"].get("zone"))
                for one in active
            }
        return None

    try:
        registry.register("a", metadata={"zone": "north", "text": "<&> ü"})
        registry.register("b", app="SHOP", port={"$": 9000, "@enabled": "true"})
        until(lambda: targets() == {("ORDERS", "127.0.0.1:8080", "north"), ("SHOP", "127.0.0.1:9000", None)}, 30)
    finally:
        prometheus.kill()
        prometheus.wait()
        registry.stop()
