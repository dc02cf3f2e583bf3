"""Two registries on real sockets: what one hears the other shows, through outages of either."""

import contextlib
import socket
import threading
import time

import msgspec

from kinema.model.discovery import Registry
from tests.contract.discovery.registry_servers import FastClock, two_registries, until
from tests.unit.discovery.registrants import ours


def test_what_one_hears_the_other_shows(registries):
    one, other = registries
    dirty = one.register("a")
    until(lambda: other.statuses() == {"a": "UP"})
    assert other.call("PUT", f"apps/ORDERS/a?lastDirtyTimestamp={dirty}").status_code == 200
    other.call("PUT", "apps/ORDERS/a/status?value=OUT_OF_SERVICE")
    until(lambda: one.statuses() == {"a": "OUT_OF_SERVICE"})
    one.call("DELETE", "apps/ORDERS/a/status?value=UP")
    until(lambda: other.statuses() == {"a": "UP"})
    one.call("PUT", "apps/ORDERS/a/metadata?colour=red")
    until(lambda: "red" in other.call("GET", "apps/ORDERS/a").text)
    other.call("DELETE", "apps/ORDERS/a")
    until(lambda: one.statuses() == {})


def test_heartbeats_at_one_keep_an_instance_at_both_and_its_lease_ends_at_both(tmp_path):
    clock = FastClock(100)
    one, other = two_registries(tmp_path, clock)
    try:
        one.start(), other.start()
        one.register("a")
        one.register("b")
        begin = clock.monotonic()
        while clock.monotonic() < begin + 130:
            assert one.call("PUT", "apps/ORDERS/a").status_code == 200
            time.sleep(0.05)
        assert one.statuses() == {"a": "UP"} == other.statuses()
        until(lambda: one.statuses() == {} == other.statuses())
    finally:
        one.stop(), other.stop()


def test_a_registry_that_restarts_is_full_when_it_answers(registries):
    one, other = registries
    for number in range(300):
        one.register(f"i-{number}")
    other.call("PUT", "apps/ORDERS/i-7/status?value=DOWN")
    one.ours("PUT", "/catalog/catalog-1", msgspec.to_builtins(ours()))
    until(lambda: one.statuses() == other.statuses() and len(one.statuses()) == 300)
    until(lambda: len(other.statuses("CATALOG")) == 1)
    expected = other.statuses()
    assert expected["i-7"] == "DOWN"
    one.stop()
    one.start()
    assert one.statuses() == expected
    signed = msgspec.json.decode(one.ours("GET").content, type=Registry)
    assert [instance.instance for instance in signed.instances] == ["catalog-1"]


def test_what_changed_while_one_was_away_it_learns_when_it_is_back(registries):
    one, other = registries
    for name in ("stays", "leaves", "rests"):
        one.register(name)
    until(lambda: len(other.statuses()) == 3)
    other.stop()
    one.call("DELETE", "apps/ORDERS/leaves")
    one.call("PUT", "apps/ORDERS/rests/status?value=OUT_OF_SERVICE")
    one.register("comes")
    other.start()
    until(lambda: other.statuses() == {"stays": "UP", "rests": "OUT_OF_SERVICE", "comes": "UP"} == one.statuses())


def test_the_newer_registration_wins_at_both(registries):
    one, other = registries
    dirty = one.register("a", ipAddr="10.0.0.1")
    until(lambda: "10.0.0.1" in other.call("GET", "apps/ORDERS/a").text)
    other.register("a", ipAddr="10.0.0.2", dirty=dirty + 5)
    until(lambda: "10.0.0.2" in one.call("GET", "apps/ORDERS/a").text)
    one.register("a", ipAddr="10.0.0.1", dirty=dirty)
    one.call("PUT", f"apps/ORDERS/a?lastDirtyTimestamp={dirty}")
    time.sleep(0.3)
    for registry in registries:
        assert "10.0.0.2" in registry.call("GET", "apps/ORDERS/a").text


def test_one_of_ours_that_reaches_one_registry_alone_is_known_to_both(registries):
    one, other = registries
    body = msgspec.to_builtins(ours())
    one.ours("PUT", "/catalog/catalog-1", body)

    def known(registry):
        return msgspec.json.decode(registry.ours("GET").content, type=Registry)

    until(lambda: known(other).instances == (ours(),))
    assert one.ours("PUT", "/catalog/catalog-1/status", {"status": "OUT_OF_SERVICE"}, "operator").status_code == 204
    until(lambda: known(other).out_of_service == ("catalog/catalog-1",))
    one.ours("PUT", "/catalog/catalog-1", body)
    one.ours("DELETE", "/catalog/catalog-1")
    until(lambda: known(other).instances == ())
    assert known(other).left == ("catalog/catalog-1",)


def test_peers_with_a_token(tmp_path):
    one, other = two_registries(tmp_path, token="hush")
    try:
        one.start(), other.start()
        one.register("a")
        until(lambda: other.statuses() == {"a": "UP"})
        state = one.ours("GET", "/state", role="operator").json()
        assert state["peers"][0]["reachable"]
    finally:
        one.stop(), other.stop()


def test_a_peer_that_talks_nonsense_hurts_nobody(tmp_path):
    one, other = two_registries(tmp_path)
    listener = socket.create_server(("127.0.0.1", other.port))
    answers = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-type: application/json\r\n\r\n{x}",
        b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
        b"SSH-2.0-nonsense\r\n",
        b'HTTP/1.1 200 OK\r\ncontent-length: 35\r\n\r\n{"responseList":[{"statusCode":"x"}',
        b"",
    ]

    def talk():
        with contextlib.suppress(OSError):
            for number in range(10_000):
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(1)
                    connection.recv(65_536)
                    connection.sendall(answers[number % len(answers)])

    threading.Thread(target=talk, daemon=True).start()
    try:
        one.start()
        for number in range(30):
            one.register(f"i-{number}")
            assert one.call("PUT", f"apps/ORDERS/i-{number}").status_code == 200
            time.sleep(0.05)
        assert len(one.statuses()) == 30
        assert one.ours("GET", "/state", role="operator").json()["peers"][0]["error"]
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        other.start()
        until(lambda: len(other.statuses()) == 30)
    finally:
        one.stop(), other.stop()


def test_head_is_get_without_a_body(registries):
    one, _ = registries
    one.register("a")
    head, whole = one.call("HEAD", "apps"), one.call("GET", "apps")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert one.call("HEAD", "apps/NONE").status_code == 404
