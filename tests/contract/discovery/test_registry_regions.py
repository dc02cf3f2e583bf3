"""Registries of two regions, and who asks one of them for both."""

import httpx
import pytest

from kinema.core.errors import BadInput
from kinema.services.discovery.remote_regions import parse_regions
from tests.contract.discovery.registry_servers import FastClock, two_registries, until


def statuses(registry, path):
    answer = registry.call("GET", path, headers={"accept": "application/json"})
    if answer.status_code != 200:
        return answer.status_code
    found = answer.json()["applications"]
    shown = {
        (app["name"], one["instanceId"]): (one["status"], one["actionType"])
        for app in found["application"]
        for one in app["instance"]
    }
    return shown, found["apps__hashcode"]


def test_who_asks_for_another_region_sees_it_too(tmp_path):
    home, west = two_registries(tmp_path, FastClock(60))
    home.peers = west.peers = ()
    home.regions = {"west": ("127.0.0.1:1", west.address)}
    lease = {"renewalIntervalInSecs": 3_600, "durationInSecs": 86_400}
    mine, theirs = ("ORDERS", "a"), ("ORDERS", "b")
    try:
        home.start()
        home.register("a", leaseInfo=lease)
        until(lambda: statuses(home, "apps?regions=west") == 503)  # a half list would look whole
        assert statuses(home, "apps?regions=nowhere") == ({mine: ("UP", "ADDED")}, "UP_1_")
        west.start()
        west.register("b", leaseInfo=lease)
        both = {mine: ("UP", "ADDED"), theirs: ("UP", "ADDED")}
        for path in ("apps?regions=west", "apps/?regions=WEST,east", "apps/delta?regions=west"):
            until(lambda path=path: statuses(home, path) == (both, "UP_2_"))
        assert statuses(home, "apps") == ({mine: ("UP", "ADDED")}, "UP_1_")
        west.call("PUT", "apps/ORDERS/b/status?value=DOWN")
        until(lambda: statuses(home, "apps/delta?regions=west")[0].get(theirs) == ("DOWN", "MODIFIED"))
        west.call("DELETE", "apps/ORDERS/b")
        until(lambda: statuses(home, "apps?regions=west") == ({mine: ("UP", "ADDED")}, "UP_1_"))
        assert statuses(home, "apps/delta?regions=west")[0][theirs][1] == "DELETED"
        west.stop()
        assert isinstance(statuses(home, "apps?regions=west"), tuple)  # the last list stays
        assert httpx.get(f"{home.url}/apps/ORDERS").status_code == 200
    finally:
        home.stop(), west.stop()


def test_regions_are_read_from_a_line_of_settings():
    text = "west=10.1.0.1:8761,10.1.0.2:8761 east=[::1]:9"
    assert parse_regions(text) == {"west": ("10.1.0.1:8761", "10.1.0.2:8761"), "east": ("[::1]:9",)}
    assert parse_regions("") == {}
    for bad in ("west", "west=", "west=host", "=host:1", "west=h:1 west=h:2", "west=http://h:1/eureka"):
        with pytest.raises(BadInput, match="registry_regions"):
            parse_regions(bad)
