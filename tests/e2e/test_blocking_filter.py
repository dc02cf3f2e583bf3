"""A filter blocks a gateway of a running region: it is named, quarantined, and the process replaced while the other serves on."""

import json
import threading
import time

import pytest

from kinema.core.errors import KinemaError
from tests.support.regions import wait_until

pytestmark = pytest.mark.timeout(240)

REPLACED_SECONDS = 2.0  # from the request that blocks a gateway to another process in its place

FILTER = """
import re, time
class Blocks:
    kind, order = "inbound", 5
    def __init__(self, parts): pass
    def applies_to(self, route, *, opened): return True
    def apply(self, passage):
        if passage.exchange.query == "block":
            {block}
        passage.lines.append(b"x-own: {mark}\\r\\n")
"""
WAYS = {
    "computes": "while True: pass",
    "sleeps": "time.sleep(3600)",
    "backtracks": "re.match(r'(a+)+$', 'a' * 60 + 'b')",
}


@pytest.mark.parametrize(
    "way", ["computes", *(pytest.param(way, marks=pytest.mark.slow) for way in ("sleeps", "backtracks"))]
)
def test_a_filter_that_blocks_a_gateway_is_taken_out_and_the_other_gateway_serves_on(region, way):
    region.wait_whole()
    folder = region.data_dir / "filters"
    folder.mkdir(mode=0o755, exist_ok=True)
    path = folder / "blocks.py"
    path.write_text(FILTER.format(block=WAYS[way], mark=way))
    wait_until(lambda: marks(region, 12) == {way}, 20, "the filter in both gateways")
    before = {name: region.pid(name) for name in ("gateway-1", "gateway-2")}
    try:
        begun = time.monotonic()
        threading.Thread(target=ask_once, args=(region, "/healthz?block", 30.0), daemon=True).start()
        served = 0
        while not changed(region, before):
            assert time.monotonic() - begun < REPLACED_SECONDS, "the blocked process was not replaced in time"
            served += ask_once(region, "/healthz", 10.0) is not None
        assert served > 0
        [name] = changed(region, before)
        wait_until(lambda: marks(region, 12) == {""}, 20, "both gateways without the filter")
        [entry] = [
            json.loads(one.read_text())
            for one in (region.data_dir / "quarantine").glob("*.json")
            if name in one.read_text()
        ]
        assert entry["file"] == "blocks.py"
        assert " in apply" in entry["where"] or " in Blocks.apply" in entry["where"] or way == "backtracks"
        report = region.ask("GET", "/v1/gateway/filters").json()
        assert next(one for one in report["filters"] if one["source"] == "blocks.py")["state"] == "quarantined"
        assert f"{name}" in region.log.read_text()
        path.write_text(FILTER.format(block="pass", mark="changed"))
        wait_until(lambda: marks(region, 12) == {"changed"}, 20, "the changed filter in both gateways")
    finally:
        path.unlink()
        for entry_path in (region.data_dir / "quarantine").glob("*.json"):
            entry_path.unlink()
    wait_until(lambda: marks(region, 12) == {""}, 20, "both gateways without a filter")


def ask_once(region, path, timeout):
    try:
        return region.ask("GET", path, timeout=timeout)
    except KinemaError:
        return None


def marks(region, times):
    """The filter's mark on some answers, each on a connection of its own, so that both gateways are likely to be asked."""
    answers = [ask_once(region, "/healthz", 10.0) for _ in range(times)]
    return {dict(answer.headers).get("x-own", "") if answer else "none" for answer in answers}


def changed(region, before):
    return [name for name, pid in before.items() if region.pid(name) not in (0, pid)]
