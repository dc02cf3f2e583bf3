"""A real Prometheus reads a process's page, with the configuration and the rules that `kinema observe` writes."""

import asyncio
import shutil
import subprocess

import httpx
import pytest

from kinema.core.clock import SystemClock
from kinema.core.metrics import Metrics
from kinema.observe.listener import MetricsPage
from kinema.observe.objectives import Objective
from kinema.observe.rules import rules
from kinema.observe.scraping import scrape_configuration
from kinema.observe.usage import UsageMeter
from kinema.rpc.service import open_socket

TRACE = "0af7651916cd43dd8448eb211c80319c"


def free_port():
    with open_socket("127.0.0.1") as listener:
        return listener.getsockname()[1]


class Prometheus:
    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}"

    async def ask(self, path, **parameters):
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{self.address}/api/v1/{path}", params=parameters)
            return answer.json().get("data") if answer.status_code == 200 else None

    async def until(self, path, holds, **parameters):
        async with asyncio.timeout(40):
            while True:
                try:
                    found = await self.ask(path, **parameters)
                except httpx.TransportError:
                    found = None  # it starts
                if found and holds(found):
                    return found
                await asyncio.sleep(0.2)


@pytest.fixture
async def process(tmp_path):
    metrics = Metrics("gateway")
    meter = UsageMeter(metrics)
    page = MetricsPage(metrics, SystemClock(), tmp_path, "gateway-1", {"region": "home", "zone": "a"})
    await page.start()
    yield metrics
    await page.close()
    meter.close()


@pytest.fixture
async def prometheus(tmp_path, process):
    objective = Objective("available", 0.99)
    (tmp_path / "kinema-slo.yaml").write_text(rules([objective]))
    text = scrape_configuration(tmp_path).replace("_interval: 15s", "_interval: 1s")
    (tmp_path / "prometheus.yaml").write_text(text)
    port = free_port()
    command = [
        shutil.which("prometheus") or "prometheus",
        f"--config.file={tmp_path / 'prometheus.yaml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    with (tmp_path / "prometheus.log").open("w") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220 -- it returns at once
    yield Prometheus(port)
    running.kill()
    running.wait()


async def test_prometheus_scrapes_exemplars_and_evaluates_the_rules(process, prometheus):
    red = process.red("gateway", "/v1/plays", service="gateway")
    found = await prometheus.until("query", lambda data: data["result"], query='up{job="kinema"} == 1')
    assert found["result"][0]["metric"]["instance"] == "gateway-1"
    assert found["result"][0]["metric"]["zone"] == "a"

    for _ in range(3):
        red.record(0.004, 200, TRACE)
    red.record(0.004, 503, TRACE)
    exemplars = await prometheus.until(
        "query_exemplars", bool, query="kinema_request_duration_seconds_bucket", start="0", end="2000000000"
    )
    assert {one["labels"]["trace_id"] for each in exemplars for one in each["exemplars"]} == {TRACE}

    share = await prometheus.until(
        "query",
        lambda data: data["result"] and float(data["result"][0]["value"][1]) > 0,
        query="slo:sli_error:ratio_rate5m",
    )
    assert share["result"][0]["metric"]["slo"] == "available"
    assert float(share["result"][0]["value"][1]) == pytest.approx(0.25)
    alerts = await prometheus.until("alerts", lambda data: len(data["alerts"]) == 4)
    assert {one["labels"]["severity"] for one in alerts["alerts"]} == {"page", "ticket"}
